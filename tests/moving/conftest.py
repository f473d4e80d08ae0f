"""An installation with every kind of engine behind it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from provisioning.platform import Platform
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.engines.turso import ORGANIZATION, TOKEN, TursoPlatform
from tests.provisioning.fixtures import data, made, no_failpoints
from tests.provisioning.installations import opened, settings_for

__all__ = ["data", "made", "no_failpoints"]


def libsql_table(sqld: Sqld) -> str:
    return f'[libsql]\nurl = "{sqld.url}"\nadmin_url = "{sqld.admin_url}"\nadmin_key = "{sqld.admin_key}"\n'


def postgresql_table(postgres: Postgres) -> str:
    return f'[postgresql]\nurl = "{postgres.url()}"\n'


@pytest.fixture
def settings(data: Path, sqld: Sqld, postgres: Postgres) -> Settings:
    (data / "backends.toml").write_text(libsql_table(sqld) + postgresql_table(postgres))
    return settings_for(data, backends_file=Path("backends.toml"), converge_seconds=60.0)


def turso_table(turso: TursoPlatform) -> str:
    return (
        f'[turso]\norganization = "{ORGANIZATION}"\ntoken = "{TOKEN}"\ngroup = "default"\n'
        f'api_url = "{turso.api.url}"\n'
    )


@pytest.fixture
def turso(tmp_path: Path, sqld: Sqld) -> Iterator[TursoPlatform]:
    platform = TursoPlatform(sqld, tmp_path)
    yield platform
    platform.close()


@pytest.fixture
async def platform(settings: Settings) -> AsyncIterator[Platform]:
    async with opened(settings) as platform:
        yield platform
