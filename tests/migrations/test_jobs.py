"""A tenant that waits to be migrated takes no jobs yet, and says so."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.management.importing import Importer
from tests.migrations.behind import demo_of_an_earlier_release

pytestmark = pytest.mark.anyio


@pytest.fixture
async def behind(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Installation]:
    data = demo_of_an_earlier_release(golden, tmp_path / "data", version="0004", held=True)
    async with serving(settings_for(data), golden[1], None) as installation:
        yield installation


async def test_jobs_are_to_be_asked_for_again_later(behind: Installation) -> None:
    importer = await Importer.of(behind)
    answers = [
        await importer.send([{"email": "new@imported.example"}]),
        await importer.post("/jobs/users-exports", {}),
        await importer.get("/jobs/job_0123456789abcdef"),
        await importer.get("/jobs/job_0123456789abcdef/errors"),
    ]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert all(answer.headers["retry-after"] for answer in answers)
