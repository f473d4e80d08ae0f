"""A release that rebuilds a parent table, on every kind of database: children stay, and one tenant goes back."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

import migrations
from controlplane.registry.tenants import get_tenant
from core.database.engine import connection_over
from core.errors import Conflict
from core.settings import Settings
from migrations.running import run_revisions
from provisioning.platform import Platform
from tenant_runtime.configuration import configuration
from tenant_runtime.models import TenantBase
from tests.migrations.next_release import NEXT, THIS, next_release
from tests.provisioning.installations import create, opened, settings_for, sql

NAMES = ("acme", "globex", "initech")
TABLES = sorted(TenantBase.metadata.tables.keys() - {"transaction_marks"})


def on_server(request: pytest.FixtureRequest, kind: str) -> str:
    if kind == "libsql":
        sqld = request.getfixturevalue("sqld")
        return (
            f'[libsql]\nurl = "{sqld.url}"\nadmin_url = "{sqld.admin_url}"\nadmin_key = "{sqld.admin_key}"\n'
        )
    return f'[postgresql]\nurl = "{request.getfixturevalue("postgres").url()}"\n'


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("libsql", marks=pytest.mark.libsql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def settings_of_kind(request: pytest.FixtureRequest, data: Path, tmp_path: Path) -> Settings:
    kind = str(request.param)
    if kind == "sqlite":
        return settings_for(data, migrate="command")
    path = tmp_path / "backends.toml"
    path.write_text(on_server(request, kind))
    return settings_for(data, migrate="command", backends_file=path, default_backend=kind)


def counts(connection: Connection) -> dict[str, int]:
    return {
        table: int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()) for table in TABLES
    }


async def give_secrets(platform: Platform, name: str) -> None:
    """Children of the table that is about to be rebuilt, which would go with their parents."""
    tenant = await platform.directory.by_id(name)
    assert tenant is not None
    await tenant.database.write(
        sql(
            "INSERT INTO client_keys (id, client_id, kid, alg, jwk, created_at)"
            " SELECT 'k_' || client_id, client_id, 'k', 'RS256', :jwk, 1 FROM clients",
            jwk='{"kty": "RSA", "n": "AQAB", "e": "AQAB"}',
        )
    )


async def counted(platform: Platform, name: str) -> dict[str, int]:
    tenant = await platform.directory.by_id(name)
    assert tenant is not None
    return await tenant.database.read(counts)


def test_a_rebuilt_parent_keeps_its_children_and_a_snapshot_brings_back_what_was(
    settings_of_kind: Settings, tmp_path: Path
) -> None:
    async def this_release() -> dict[str, dict[str, int]]:
        async with opened(settings_of_kind) as platform:
            for name in NAMES:
                await create(platform, name)
                await give_secrets(platform, name)
            return {name: await counted(platform, name) for name in NAMES}

    async def the_next(before: dict[str, dict[str, int]]) -> None:
        async with opened(settings_of_kind) as platform:
            run_id = await platform.migrations.start()
            assert run_id is not None
            run = await platform.migrations.work(run_id)
            assert (run.state, run.reason) == ("succeeded", None)
            for name in NAMES:
                assert await counted(platform, name) == before[name]
                assert (await platform.registry.read(get_tenant, name)).schema_version == NEXT
                tenant = await platform.directory.by_id(name)
                assert tenant is not None
                coloured = await tenant.database.read(
                    sql("SELECT count(*) FROM clients WHERE colour IS NULL")
                )
                assert coloured == [(before[name]["clients"],)]
                assert (await configuration(tenant)).clients
            await platform.migrations.roll_back("globex")
            back = await platform.registry.read(get_tenant, "globex")
            assert (back.schema_version, back.generation, back.backend) == (
                THIS,
                2,
                settings_of_kind.default_backend,
            )
            assert await counted(platform, "globex") == before["globex"]

    before = asyncio.run(this_release())
    assert all(rows["client_keys"] and rows["clients"] for rows in before.values())
    with next_release(tmp_path / "next"):
        asyncio.run(the_next(before))


@pytest.fixture
def with_children() -> Iterator[sqlite3.Connection]:
    """One client with a secret."""
    driver = sqlite3.connect(":memory:", isolation_level=None)
    driver.execute("PRAGMA foreign_keys=OFF")
    driver.execute("BEGIN")
    migrations.upgrade(connection_over(driver), "tenant")
    _insert(driver, "clients")
    _insert(driver, "client_keys")
    driver.execute("COMMIT")
    with closing(driver):
        yield driver


def _insert(driver: sqlite3.Connection, table: str) -> None:
    """A row with what it must have, and no more: every key and every reference is `x`."""
    columns = driver.execute(f"PRAGMA table_info({table})").fetchall()
    usual = {"VARCHAR": "x", "JSON": "{}"}
    values = [usual.get(kind.split("(")[0], 1) if required else None for _, _, kind, required, *_ in columns]
    driver.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in columns)})", values)


def children_in(driver: sqlite3.Connection) -> int:
    return int(driver.execute("SELECT count(*) FROM client_keys").fetchone()[0])


def test_with_foreign_keys_on_the_rebuild_would_delete_the_children_so_it_is_refused(
    with_children: sqlite3.Connection, tmp_path: Path
) -> None:
    driver = with_children
    with next_release(tmp_path / "next"):
        driver.execute("PRAGMA foreign_keys=ON")
        driver.execute("BEGIN")
        connection = connection_over(driver)
        with pytest.raises(Conflict, match="Foreign keys must be off"):
            migrations.upgrade(connection, "tenant")
        assert children_in(driver) == 1
        run_revisions(connection, tmp_path / "next/tenant/versions", THIS, NEXT)
        assert children_in(driver) == 0, "this is what is refused"
        driver.execute("ROLLBACK")

        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("BEGIN")
        migrations.upgrade(connection_over(driver), "tenant")
        driver.execute("COMMIT")
        assert children_in(driver) == 1
        assert driver.execute("SELECT version_num FROM alembic_version").fetchone() == (NEXT,)


def test_a_reference_to_nothing_is_found_before_the_commit(
    with_children: sqlite3.Connection, tmp_path: Path
) -> None:
    with next_release(tmp_path / "next"):
        with_children.execute("DELETE FROM clients")
        with_children.execute("BEGIN")
        with pytest.raises(Conflict, match="reference to nothing"):
            migrations.upgrade(connection_over(with_children), "tenant")
