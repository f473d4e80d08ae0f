"""Two ways to stand before the protocol: `world` with login pages and a browser, `issuers` for the token side alone."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.crypto.keys import SigningKey
from tests.conftest import serving, settings_for
from tests.elsewhere import Elsewhere, elsewhere
from tests.installation import Installation
from tests.login.world import World, template
from tests.login.world import world as build
from tests.protocol.issuer import Golden, Issuers, make_golden, migrated_file, open_issuers
from tests.registrations import let_register


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


@pytest.fixture(scope="module")
async def foreign() -> AsyncIterator[Elsewhere]:
    async with elsewhere() as server:
        yield server


@pytest.fixture(scope="module")
async def open_to_all(
    golden: Any, tmp_path_factory: pytest.TempPathFactory, foreign: Elsewhere
) -> AsyncIterator[Installation]:
    """acme lets anybody register; globex, nobody."""
    copy = tmp_path_factory.mktemp("registration") / "data"
    shutil.copytree(golden[0], copy)
    settings = settings_for(copy, outbound_allowed=frozenset({foreign.host}))
    async with serving(settings, golden[1]) as installation:
        await let_register(installation, "acme", mode="open")
        yield installation


@pytest.fixture
def time_between_registrations(request: pytest.FixtureRequest) -> None:
    """They share what one address may do in ten minutes."""
    if "open_to_all" in request.fixturenames:
        request.getfixturevalue("open_to_all").clock.advance(20)
