"""Databases of an older version are brought up where they stand: rows stay, one bad tenant stops nobody."""

import asyncio
import sqlite3
from pathlib import Path

import migrations
from controlplane.registry.tenants import get_tenant
from core.settings import Settings
from tenant_runtime.configuration import configuration
from tests.provisioning.installations import create, opened, sql


def make_older(path: Path) -> None:
    """As the version before `0002` left it."""
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE tickets")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()


def test_tenants_of_an_older_schema_are_migrated_and_a_bad_one_is_left_alone(settings: Settings) -> None:
    names = ("acme", "bad", "globex", "control_plane")

    async def prepare() -> dict[str, Path]:
        async with opened(settings) as platform:
            for name in names[:3]:
                await create(platform, name)
            await platform.registry.write(sql("UPDATE tenants SET schema_version = '0001'"))
            tenants = [await platform.registry.read(get_tenant, name) for name in names]
            return {tenant.id: settings.data_dir / tenant.location for tenant in tenants}

    files = asyncio.run(prepare())
    for path in files.values():
        make_older(path)
    with sqlite3.connect(files["bad"]) as connection:
        connection.execute("CREATE TABLE tickets (digest TEXT)")
    connection.close()

    async def next_life() -> None:
        async with opened(settings) as platform:
            one = await platform.registry.read(get_tenant, "control_plane")
            assert one.schema_version == migrations.head("tenant")
            assert await platform.worker.migrate() == 2
            assert await platform.worker.migrate() == 0
            for name in ("acme", "globex", "control_plane"):
                registered = await platform.registry.read(get_tenant, name)
                assert registered.schema_version == migrations.head("tenant")
                tenant = await platform.directory.by_id(name)
                assert tenant is not None
                assert (await configuration(tenant)).clients
                assert await tenant.database.read(sql("SELECT count(*) FROM tickets")) == [(0,)]
            bad = await platform.registry.read(get_tenant, "bad")
            assert bad.schema_version == "0001"
            await platform.databases.close()
        with sqlite3.connect(files["bad"]) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        connection.close()

    asyncio.run(next_life())
