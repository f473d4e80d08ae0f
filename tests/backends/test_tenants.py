"""Tenants on servers, through the platform: made, served and destroyed, whatever dies on the way."""

import asyncio
from pathlib import Path

import pytest

from controlplane.registry.backups import list_backups
from controlplane.registry.tenants import find_tenant
from core.database import DatabaseRef
from core.errors import Conflict, DatabaseUnavailable, InvalidInput
from core.failpoints import EXIT_STATUS
from core.settings import Settings
from core.tenants import RestoreOrder
from provisioning.credentials import renew_credentials
from provisioning.platform import Platform
from provisioning.survey import survey
from tenant_runtime.configuration import configuration
from tests.backends.conftest import server_of
from tests.engines.postgres import Postgres
from tests.engines.proxy import Fault, Kind
from tests.engines.sqld import Sqld
from tests.engines.turso import ORGANIZATION, TOKEN, TursoPlatform, as_operator
from tests.matrices import in_turn
from tests.provisioning.installations import create, in_child, opened, settings_for, settle, sql

pytestmark = [pytest.mark.libsql, pytest.mark.postgresql]

KINDS = ["libsql", "turso", "postgresql"]
CREATING = [
    "provision.database.before",
    "backend.create.filled",
    "provision.database.after",
    "provision.organization.after",
    "provision.activation.after",
]
DELETING = ["provision.delete.file.before", "provision.delete.tombstone.before"]


@pytest.fixture
def on_servers(data: Path, sqld: Sqld, turso: TursoPlatform, postgres: Postgres, tmp_path: Path) -> Settings:
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
        [postgresql]
        url = "{postgres.url()}"
        """
    )
    return settings_for(data, backends_file=path, deletion_grace_days=0.0)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _look(platform: Platform, ref: DatabaseRef) -> None:
    with platform.databases.read_only(ref):
        pass


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
@pytest.mark.parametrize(("kind", "point"), in_turn(KINDS, CREATING), indirect=["kind"])
def test_killed_while_creating_the_next_life_finishes_it(on_servers: Settings, kind: str, point: str) -> None:
    assert in_child(lambda: creating(on_servers, kind), f"{point}=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(on_servers) as platform:
            await settle(platform)
            await whole(platform, kind)

    asyncio.run(next_life())


@pytest.mark.faults
@pytest.mark.parametrize(("kind", "point"), in_turn(KINDS, DELETING), indirect=["kind"])
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
    on_servers: Settings, sqld: Sqld, turso: TursoPlatform, postgres: Postgres, kind: str
) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend=kind)
        registered = await platform.registry.read(find_tenant, "acme")
        assert registered is not None
        await platform.lifecycle.delete("acme")
        await settle(platform)
    assert not sqld.has(registered.location.partition("@")[0])
    assert not turso.databases
    for catalogue, column in (("pg_database", "datname"), ("pg_roles", "rolname")):
        assert not postgres.query(f"SELECT 1 FROM {catalogue} WHERE {column} = '{registered.location}'")


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


# ---- what an operator does -------------------------------------------------------------------------------------------


async def test_after_new_credentials_the_tenant_serves_and_the_old_ones_are_void(
    on_servers: Settings, kind: str
) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend=kind)
        registered = await platform.registry.read(find_tenant, "acme")
        assert registered is not None
        old = platform.parts.ref(registered)
        await renew_credentials(platform.parts, "acme")
        await whole(platform, kind)
        with pytest.raises(DatabaseUnavailable):
            await asyncio.to_thread(_look, platform, old)


@pytest.mark.faults
def test_killed_between_the_server_and_the_registry_asking_again_repairs_it(
    on_servers: Settings, kind: str
) -> None:
    asyncio.run(creating(on_servers, kind))

    async def renewing() -> None:
        async with opened(on_servers) as platform:
            await renew_credentials(platform.parts, "acme")

    assert in_child(renewing, "credentials.renewed=exit") == EXIT_STATUS

    async def next_life() -> None:
        async with opened(on_servers) as platform:
            tenant = await platform.directory.by_id("acme")
            assert tenant is not None
            with pytest.raises(DatabaseUnavailable):
                await configuration(tenant)
            await renew_credentials(platform.parts, "acme")
            await whole(platform, kind)

    asyncio.run(next_life())


async def test_a_file_has_no_credentials_to_renew(on_servers: Settings) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend="sqlite")
        with pytest.raises(Conflict, match="no credentials"):
            await renew_credentials(platform.parts, "acme")


async def test_a_tenant_goes_back_to_how_it_was_at_a_moment(
    on_servers: Settings, turso: TursoPlatform
) -> None:
    """By a backup as of then, where the platform remembers."""
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend="turso")
        await rename(platform, "Early")
        moment = turso.remember_moment(await place_of(platform))
        await rename(platform, "Late")
        await platform.backups.take("acme", as_of=moment)
        (backup,) = await platform.registry.read(list_backups, "acme")
        assert backup.taken_at == moment
        await platform.backups.restore("acme", RestoreOrder(backup_id=backup.id))
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        assert await tenant.database.read(sql(f"SELECT name FROM clients WHERE {ITS_APP}")) == [("Early",)]


async def test_a_back_end_that_remembers_nothing_says_so(on_servers: Settings) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend="libsql")
        with pytest.raises(InvalidInput, match="does not remember"):
            await platform.backups.take("acme", as_of=1)


ITS_APP = "name != 'All Applications'"


async def rename(platform: Platform, name: str) -> None:
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    await tenant.database.write(sql(f"UPDATE clients SET name = '{name}' WHERE {ITS_APP} RETURNING 1"))


async def place_of(platform: Platform) -> str:
    registered = await platform.registry.read(find_tenant, "acme")
    assert registered is not None
    return registered.location.partition("@")[0]


async def test_what_nobody_points_to_is_told_and_nothing_else(
    on_servers: Settings, turso: TursoPlatform
) -> None:
    async with opened(on_servers) as platform:
        await create(platform, "acme", backend="turso")
        await create(platform, "globex", backend="libsql")
        backend = platform.parts.backend("turso")
        stray = backend.place("initech", 1, None).location
        turso.answer(as_operator("POST", "", {"name": stray, "group": "default"}))
        turso.answer(as_operator("POST", "", {"name": "somebody-elses", "group": "default"}))
        found = {each.name: each for each in await survey(platform.parts)}
    assert found["turso"].strays == (stray,)
    assert (found["turso"].tenants, found["libsql"].tenants) == (1, 1)
    assert found["libsql"].strays is None


async def test_a_back_end_that_cannot_be_asked_is_told_as_that(
    on_servers: Settings, turso: TursoPlatform
) -> None:
    turso.api.inject(Fault(Kind.REFUSED, status=401), times=None)
    async with opened(on_servers) as platform:
        found = {each.name: each for each in await survey(platform.parts)}
    assert found["turso"].problem == DatabaseUnavailable.description
    assert found["sqlite"].problem is None
