from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.crypto.keys import SigningKey
from tests.management.world import ISSUERS, Place, World, migrated_file, open_world


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("schema") / "tenant.db")


@pytest.fixture(scope="session")
def signing_keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate("RS256") for name in ISSUERS}


@pytest.fixture
async def world(tmp_path: Path, schema: Path, signing_keys: dict[str, SigningKey]) -> AsyncIterator[World]:
    async with open_world(tmp_path, schema, signing_keys) as opened:
        yield opened


@pytest.fixture
def acme(world: World) -> Place:
    return world.acme


@pytest.fixture
def one(world: World) -> Place:
    return world.one
