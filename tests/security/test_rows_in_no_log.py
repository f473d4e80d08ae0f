"""An error of a database is logged without what stands in its rows."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from core.logs import configure_logs
from core.settings import Settings
from provisioning.platform import open_databases
from tests.backends.homes import Home
from tests.conftest import settings_for
from tests.provisioning.installations import sql

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]

WORD = "canary-of-the-row"


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    before, level, settings = root.handlers[:], root.level, structlog.get_config()
    stream = io.BytesIO()
    configure_logs("debug", stream)
    yield stream
    structlog.configure(**settings)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "data")


@pytest.mark.parametrize(
    "values",
    ["(:word, 'tenant', '1'), (:word, 'tenant', '2')", "(:word, 'tenant', NULL)"],
)
@pytest.mark.parametrize("word", [WORD, f"{WORD}\nDETAIL:  {WORD}\n\n{WORD}"])
async def test_what_postgresql_says_of_a_row_is_not_logged(
    postgresql_home: Home, settings: Settings, log: io.BytesIO, values: str, word: str
) -> None:
    _, ref = postgresql_home.made("acme")
    databases = open_databases(settings)
    try:
        with pytest.raises(IntegrityError) as refused:
            await databases.open(ref).write(
                sql(f"INSERT INTO settings (key, source, value) VALUES {values}", word=word)
            )
    finally:
        await databases.close()
    assert WORD in str(refused.value.orig)
    structlog.get_logger("test").error("ours", exc_info=refused.value)
    logging.getLogger("a.library").error("theirs", exc_info=refused.value)
    said = log.getvalue().decode()
    assert said.count("IntegrityError") >= 2
    assert "violates" in said
    assert WORD not in said
