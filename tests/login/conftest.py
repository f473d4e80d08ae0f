from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.login.world import World, template
from tests.login.world import world as build


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("template") / "tenant.db")


@pytest.fixture
async def world(tmp_path: Path, migrated: Path) -> AsyncIterator[World]:
    async with build(tmp_path, migrated) as built:
        yield built
