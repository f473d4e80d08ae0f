"""Two ways to stand before the protocol: `world` with login pages and a browser, `issuers` for the token side alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.crypto.keys import SigningKey
from tests.login.world import World, template
from tests.login.world import world as build
from tests.protocol.issuer import Golden, Issuers, make_golden, migrated_file, open_issuers


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("template") / "tenant.db")


@pytest.fixture
async def world(tmp_path: Path, migrated: Path) -> AsyncIterator[World]:
    async with build(tmp_path, migrated) as built:
        yield built


@pytest.fixture(scope="session")
def signing_keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate("RS256") for name in ("acme", "globex")}


@pytest.fixture(scope="session")
def golden_issuers(signing_keys: dict[str, SigningKey], tmp_path_factory: pytest.TempPathFactory) -> Golden:
    folder = tmp_path_factory.mktemp("issuers")
    schema = migrated_file(folder / "schema.db")
    return asyncio.run(make_golden(schema, folder, signing_keys))


@pytest.fixture
async def issuers(golden_issuers: Golden, tmp_path: Path) -> AsyncIterator[Issuers]:
    async with open_issuers(golden_issuers, tmp_path) as opened:
        yield opened
