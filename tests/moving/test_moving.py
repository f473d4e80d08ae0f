"""A tenant goes from any back end to any other while it is written and read, and nobody notices."""

import pytest

import migrations
from controlplane.registry.operations import OperationRecord, get_operation
from controlplane.registry.tenants import change_tenant, get_tenant
from core.database import Database
from core.settings import Settings
from provisioning.platform import Platform
from provisioning.transfer import TableDigest, digests
from tests.engines.turso import TursoPlatform
from tests.matrices import in_ci
from tests.migrations.older import make_older
from tests.moving.conftest import turso_table
from tests.moving.load import fill, under_load
from tests.provisioning.installations import create, opened

WAYS = [
    ("sqlite", "libsql"),
    ("libsql", "sqlite"),
    ("sqlite", "postgresql"),
    ("postgresql", "sqlite"),
    ("libsql", "postgresql"),
    ("postgresql", "libsql"),
]
ROUND = (("sqlite", "libsql"), ("libsql", "postgresql"), ("postgresql", "sqlite"))


async def moved(platform: Platform, tenant_id: str, backend: str) -> OperationRecord:
    operation_id = await platform.moves.move(tenant_id, backend)
    operation = await platform.registry.read(get_operation, operation_id)
    assert (operation.state, operation.error) == ("succeeded", None), operation
    tenant = await platform.registry.read(get_tenant, tenant_id)
    assert tenant.backend == backend
    return operation


async def all_rows(database: Database) -> dict[str, TableDigest]:
    found = await database.read(digests)
    del found["transaction_marks"]
    return found


async def database_of(platform: Platform, tenant_id: str) -> Database:
    found = await platform.directory.database_of(tenant_id)
    assert found is not None
    return found


@pytest.mark.libsql
@pytest.mark.postgresql
@pytest.mark.parametrize(("source", "target"), in_ci(WAYS, ROUND))
async def test_no_write_is_lost_and_nobody_is_refused(platform: Platform, source: str, target: str) -> None:
    await create(platform, "acme", backend=source)
    await (await database_of(platform, "acme")).write(fill, 0, 2_000)
    async with under_load(platform, "acme") as load:
        operation = await moved(platform, "acme", target)
    await load.check(await database_of(platform, "acme"))
    figures = next(step for step in operation.steps if step["name"] == "fence")
    print(
        f"{source}-{target}: {load.writes} writes, {load.reads} reads, slowest {load.slowest:.3f}, {figures}"
    )


@pytest.mark.libsql
@pytest.mark.postgresql
async def test_every_row_arrives_as_it_was_on_every_engine_in_turn(platform: Platform) -> None:
    await create(platform, "acme")
    database = await database_of(platform, "acme")
    before = await all_rows(database)
    for backend in ("libsql", "postgresql", "sqlite"):
        await moved(platform, "acme", backend)
        assert await all_rows(database) == before


@pytest.mark.libsql
async def test_to_a_platform_that_says_only_afterwards_where_a_database_is(
    settings: Settings, turso: TursoPlatform
) -> None:
    assert settings.backends_file is not None
    settings.backends_file.write_text(turso_table(turso))
    async with opened(settings) as platform:
        await create(platform, "acme")
        database = await database_of(platform, "acme")
        await database.write(fill, 0, 600)
        before = await all_rows(database)
        for backend in ("turso", "sqlite"):
            await moved(platform, "acme", backend)
            assert await all_rows(database) == before


@pytest.mark.libsql
@pytest.mark.postgresql
async def test_a_tenant_that_is_held_back_moves_with_its_old_schema(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await platform.registry.read(get_tenant, "acme")
    ref = platform.parts.ref(tenant)
    await platform.databases.forget(ref)
    version = migrations.previous("tenant")
    make_older(ref.file, version)
    await platform.registry.write(change_tenant, "acme", platform.parts.now(), schema_version=version)
    database = await database_of(platform, "acme")
    await database.write(fill, 0, 600)
    before = await all_rows(database)
    for backend in ("libsql", "postgresql", "sqlite"):
        await moved(platform, "acme", backend)
        assert await all_rows(database) == before
        assert await database.read(migrations.current) == version
        assert (await platform.registry.read(get_tenant, "acme")).schema_version == version
