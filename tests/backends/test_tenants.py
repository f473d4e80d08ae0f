"""Tenants on servers, through the platform: made, served and destroyed, whatever dies on the way."""

import asyncio
from pathlib import Path

import pytest

from controlplane.registry.tenants import find_tenant
from core.errors import DatabaseUnavailable, InvalidInput
from core.failpoints import EXIT_STATUS
from core.settings import Settings
from provisioning.platform import Platform
from tenant_runtime.configuration import configuration
from tests.backends.conftest import server_of
from tests.engines.sqld import Sqld
from tests.engines.turso import ORGANIZATION, TOKEN, TursoPlatform
from tests.provisioning.installations import create, in_child, opened, settings_for, settle, sql

pytestmark = pytest.mark.libsql

CREATING = [
    "provision.database.before",
    "backend.create.filled",
    "provision.database.after",
    "provision.organization.after",
    "provision.activation.after",
]
DELETING = ["provision.delete.file.before", "provision.delete.tombstone.before"]


@pytest.fixture
def on_servers(data: Path, sqld: Sqld, turso: TursoPlatform, tmp_path: Path) -> Settings:
    server = server_of(sqld)
    path = tmp_path / "backends.toml"
    path.write_text(
        f"""
        [libsql]
        url = "{server.url}"
        admin_url = "{server.admin_url}"
        admin_key = "{server.admin_key.reveal()}"
        [turso]
        organization = "{ORGANIZATION}"
        token = "{TOKEN}"
        group = "default"
        api_url = "{turso.api.url}"
        """
    )
    return settings_for(data, backends_file=path, deletion_grace_days=0.0)


@pytest.fixture(params=["libsql", "turso"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def whole(platform: Platform, kind: str) -> None:
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    assert (await configuration(tenant)).management
    assert (await platform.lifecycle.drift("acme"))["in_sync"]
    registered = await platform.registry.read(find_tenant, "acme")
    assert registered is not None
    assert (registered.backend, registered.state, registered.error) == (kind, "active", None)
    assert await tenant.database.read(sql("SELECT id FROM tenant")) == [("acme",)]
    assert not list(platform.settings.data_dir.rglob("*acme*")), "nothing of it lies on this machine"


async def creating(settings: Settings, kind: str) -> None:
    async with opened(settings) as platform:
        await create(platform, "acme", backend=kind)


@pytest.mark.faults
@pytest.mark.parametrize("point", CREATING)
def test_killed_while_creating_the_next_life_finishes_it(on_servers: Settings, kind: str, point: str) -> None:
    assert in_child(lambda: creating(on_servers, kind), f"{point}=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(on_servers) as platform:
            await settle(platform)
            await whole(platform, kind)

    asyncio.run(next_life())


@pytest.mark.faults
@pytest.mark.parametrize("point", DELETING)
def test_killed_while_deleting_the_next_life_finishes_it(on_servers: Settings, kind: str, point: str) -> None:
    asyncio.run(creating(on_servers, kind))

    async def deleting() -> None:
        async with opened(on_servers) as platform:
            await platform.lifecycle.delete("acme")

    assert in_child(deleting, f"{point}=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(on_servers) as platform:
            await settle(platform)
            tenant = await platform.registry.read(find_tenant, "acme")
            assert tenant is not None
            assert (tenant.state, tenant.wrapped_key, tenant.credentials) == ("deleted", None, None)

    asyncio.run(next_life())


async def test_what_is_deleted_is_gone_from_the_server(
    on_servers: Settings, sqld: Sqld, turso: TursoPlatform, kind: str
) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend=kind)
        registered = await platform.registry.read(find_tenant, "acme")
        assert registered is not None
        await platform.lifecycle.delete("acme")
        await settle(platform)
    assert not sqld.has(registered.location.partition("@")[0])
    assert not turso.databases


async def test_the_private_key_of_a_database_lies_sealed_in_the_registry(
    on_servers: Settings, kind: str
) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend=kind)
        registered = await platform.registry.read(find_tenant, "acme")
        assert registered is not None
        secret = platform.parts.ref(registered).server.secret
    files = [path for path in on_servers.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert not [path for path in files if b"PRIVATE KEY" in path.read_bytes() and path.name != "sealing.key"]


async def test_credentials_of_another_tenants_row_open_nothing(on_servers: Settings, kind: str) -> None:
    """Copied in the registry, with the place: sealed for a tenant, they open in its row alone."""
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend=kind)
        await create(platform, "globex", backend=kind)
        await platform.registry.write(
            sql(
                "UPDATE tenants SET (location, credentials) ="
                " (SELECT location, credentials FROM tenants WHERE id = 'globex') WHERE id = 'acme' RETURNING id"
            )
        )
        acme = await platform.registry.read(find_tenant, "acme")
        assert acme is not None
        with pytest.raises(DatabaseUnavailable):
            platform.parts.ref(acme)


async def test_a_region_that_is_not_there_is_told_to_who_creates(on_servers: Settings, kind: str) -> None:
    async with opened(on_servers) as platform:
        with pytest.raises(InvalidInput, match="no such region"):
            await create(platform, "acme", backend=kind, region="atlantis")
        assert await platform.registry.read(find_tenant, "acme") is None
