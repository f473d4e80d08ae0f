"""Databases of an older version are brought up where they stand: rows stay, one bad tenant stops nobody."""

import asyncio
import re
import sqlite3
from pathlib import Path

import migrations
from controlplane.registry.tenants import get_tenant
from core.settings import Settings
from tenant_runtime.configuration import configuration
from tests.provisioning.installations import create, opened, sql

REVISION = Path(migrations.__file__).parent / "tenant/versions/0003_the_whole_protocol.py"
TABLES = ("client_keys", "deliveries", "device_codes", "login_codes", "pushed_requests", "used_ids")
INDEXES = ("ix_grants_created", "uq_signing_keys_state")


def make_older(path: Path) -> None:
    """As the version before `0003` left it: without its tables, and without each column that it added."""
    added = re.findall(r'add_column\(\s*"(\w+)",\s*sa\.Column\(\s*"(\w+)"', REVISION.read_text())
    assert ("clients", "jwks_uri") in added
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tenant SET converging = 1")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for name in INDEXES:
            connection.execute(f"DROP INDEX {name}")
        for name in TABLES:
            connection.execute(f"DROP TABLE {name}")
        for table, column in added:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DELETE FROM connections WHERE name = 'email'")
        connection.execute("UPDATE tenant SET converging = 0")
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    connection.close()


def test_tenants_of_an_older_schema_are_migrated_and_a_bad_one_is_left_alone(settings: Settings) -> None:
    names = ("acme", "bad", "globex", "control_plane")

    async def prepare() -> dict[str, Path]:
        async with opened(settings) as platform:
            for name in names[:3]:
                await create(platform, name)
            await platform.registry.write(sql("UPDATE tenants SET schema_version = '0002'"))
            tenants = [await platform.registry.read(get_tenant, name) for name in names]
            return {tenant.id: settings.data_dir / tenant.location for tenant in tenants}

    files = asyncio.run(prepare())
    for path in files.values():
        make_older(path)
    with sqlite3.connect(files["bad"]) as connection:
        connection.execute("CREATE TABLE deliveries (id TEXT)")
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
                assert await tenant.database.read(sql("SELECT count(*) FROM deliveries")) == [(0,)]
                email = "SELECT count(*) FROM connections WHERE name = 'email'"
                assert await tenant.database.read(sql(email)) == [(1,)]
            bad = await platform.registry.read(get_tenant, "bad")
            assert bad.schema_version == "0002"
            await platform.databases.close()
        with sqlite3.connect(files["bad"]) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
        connection.close()

    asyncio.run(next_life())
