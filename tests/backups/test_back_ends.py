"""A backup is a SQLite file whatever it was taken from: it is put back into the same engine or into another."""

from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from controlplane.registry.backups import list_backups
from controlplane.registry.operations import OperationRecord, get_operation
from controlplane.registry.tenants import get_tenant
from core.database import Database
from core.tenants import RestoreOrder
from provisioning import replacing
from provisioning.fence import is_fenced
from provisioning.platform import Platform
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.matrices import in_ci
from tests.provisioning.installations import MovableClock, create, opened, settings_for, sql

pytestmark = [pytest.mark.anyio, pytest.mark.libsql, pytest.mark.postgresql]

ENGINES = ("sqlite", "libsql", "postgresql")
ROUND = (("sqlite", "libsql"), ("libsql", "postgresql"), ("postgresql", "sqlite"))
CLIENTS = "SELECT client_id, name FROM clients ORDER BY client_id"


@pytest.fixture
async def platform(
    data: Path, clock: MovableClock, sqld: Sqld, postgres: Postgres
) -> AsyncGenerator[Platform, None]:
    (data / "backends.toml").write_text(
        f'[libsql]\nurl = "{sqld.url}"\nadmin_url = "{sqld.admin_url}"\nadmin_key = "{sqld.admin_key}"\n'
        f'[postgresql]\nurl = "{postgres.url()}"\n'
    )
    settings = settings_for(data, backends_file=Path("backends.toml"), converge_seconds=60.0)
    async with opened(settings, clock=clock) as platform:
        yield platform


async def database(platform: Platform) -> Database:
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    return tenant.database


async def ended(platform: Platform, operation_id: str) -> OperationRecord:
    return await platform.registry.read(get_operation, operation_id)


async def backed_up(platform: Platform) -> str:
    done = await ended(platform, await platform.backups.take("acme"))
    assert done.state == "succeeded", done.error
    return (await platform.registry.read(list_backups, "acme"))[0].id


async def restored(platform: Platform, backup_id: str, **order: Any) -> OperationRecord:
    operation_id = await platform.backups.restore("acme", RestoreOrder(backup_id=backup_id, **order))
    return await ended(platform, operation_id)


@pytest.mark.parametrize(("source", "target"), in_ci(product(ENGINES, ENGINES), ROUND))
async def test_a_backup_of_one_engine_is_restored_into_another(
    platform: Platform, clock: MovableClock, source: str, target: str
) -> None:
    await create(platform, "acme", backend=source)
    clients = await (await database(platform)).read(sql(CLIENTS))
    backup_id = await backed_up(platform)
    old = await platform.registry.read(get_tenant, "acme")
    await (await database(platform)).write(sql("DELETE FROM clients"))
    done = await restored(platform, backup_id, backend=target)
    assert done.state == "succeeded", done.error
    record = await platform.registry.read(get_tenant, "acme")
    assert (record.backend, record.generation) == (target, 2)
    now = await database(platform)
    assert await now.read(sql(CLIENTS)) == clients
    assert not await now.read(is_fenced)
    await now.write(sql("UPDATE clients SET name = 'and goes on'"))
    backend, ref = platform.parts.backend(source), platform.parts.ref(old)
    assert backend.exists(ref)
    clock.ahead += 25 * 3600
    assert await replacing.sweep(platform.parts) == 1
    assert not backend.exists(ref)
    assert await (await database(platform)).read(sql("SELECT DISTINCT name FROM clients")) == [
        ("and goes on",)
    ]


@pytest.mark.parametrize("source", ENGINES)
async def test_what_is_restored_is_backed_up_and_restored_again(platform: Platform, source: str) -> None:
    await create(platform, "acme", backend=source)
    for generation in (2, 3):
        done = await restored(platform, await backed_up(platform))
        assert done.state == "succeeded", done.error
        assert (await platform.registry.read(get_tenant, "acme")).generation == generation
    assert (await platform.lifecycle.drift("acme"))["in_sync"]
