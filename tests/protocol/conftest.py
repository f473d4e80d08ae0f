"""Two ways to stand before the protocol: `world` with login pages and a browser, `issuers` for the token side alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.crypto.keys import SigningKey
from tests.login.world import World, template
from tests.login.world import world as build
from tests.protocol.issuer import Issuers, migrated_file, open_issuers


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("template") / "tenant.db")


@pytest.fixture
async def world(tmp_path: Path, migrated: Path) -> AsyncIterator[World]:
    async with build(tmp_path, migrated) as built:
        yield built


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("schema") / "tenant.db")


@pytest.fixture(scope="session")
def signing_keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate("RS256") for name in ("acme", "globex")}


@pytest.fixture
async def issuers(
    schema: Path, signing_keys: dict[str, SigningKey], tmp_path: Path
) -> AsyncIterator[Issuers]:
    async with open_issuers(schema, signing_keys, tmp_path) as opened:
        yield opened
