"""F12, F15, F17: a missing or foreign file is an error for its tenant, never an empty or another's database."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from controlplane.registry.operations import latest_operation
from controlplane.registry.tenants import get_tenant
from core.errors import DatabaseMissing, DatabaseUnavailable, WrongDatabase
from provisioning.backends.slug import Slug
from provisioning.backends.sqlite import SqliteBackend
from provisioning.platform import Platform
from tenant_runtime.configuration import configuration
from tests.provisioning.installations import create, settle, sql

pytestmark = pytest.mark.anyio


async def file_of(platform: Platform, tenant_id: str) -> Path:
    tenant = await platform.registry.read(get_tenant, tenant_id)
    await platform.databases.forget(platform.parts.ref(tenant))
    return platform.settings.data_dir / tenant.location


async def test_a_missing_file_is_never_made_anew_and_comes_back(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    path = await file_of(platform, "acme")
    aside = path.with_name("aside")
    path.rename(aside)
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    with pytest.raises(DatabaseMissing):
        await configuration(tenant)
    await platform.lifecycle.converge("acme")
    await platform.lifecycle.retry("acme")
    await settle(platform)
    assert not path.exists()
    operation = await platform.registry.read(latest_operation, "acme", "converge")
    assert operation is not None
    assert operation.state == "failed"
    assert operation.error is not None
    assert operation.error.startswith("database: DatabaseMissing")
    assert (await platform.registry.read(get_tenant, "acme")).state == "active"
    other = await platform.directory.by_id("globex")
    assert other is not None
    assert await configuration(other)
    aside.rename(path)
    assert await configuration(tenant)
    await platform.lifecycle.retry("acme")
    assert (await platform.lifecycle.drift("acme"))["in_sync"]


async def test_another_tenants_file_in_its_place_is_not_served(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    acme, globex = await file_of(platform, "acme"), await file_of(platform, "globex")
    shutil.copy(globex, acme)
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    with pytest.raises(WrongDatabase):
        await configuration(tenant)
    await platform.lifecycle.converge("acme")
    with pytest.raises(WrongDatabase):
        await configuration(tenant)


async def test_a_file_of_an_earlier_try_is_put_out_of_the_way(platform: Platform) -> None:
    """A creator that was stopped and woke up after its tenant was cancelled may leave one."""
    await create(platform, "globex")
    backend = SqliteBackend(platform.settings)
    path = platform.settings.data_dir / backend.place("acme", 1, None).location
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(await file_of(platform, "globex"), path)
    await create(platform, "acme")
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    assert await tenant.database.read(sql("SELECT id FROM tenant")) == [("acme",)]
    assert len(list((platform.settings.data_dir / "quarantine").iterdir())) == 1


async def test_no_room_while_creating_fails_at_the_step_and_heals(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    await create(platform, "acme")
    monkeypatch.setattr(os, "fsync", real)
    tenant = await platform.registry.read(get_tenant, "acme")
    assert tenant.state == "failed"
    assert tenant.error is not None
    assert tenant.error.startswith("database: ")
    assert not list(platform.settings.data_dir.rglob("*acme*"))
    await platform.lifecycle.retry("acme")
    assert await platform.directory.by_id("acme") is not None


async def test_a_locked_database_is_waited_for_and_then_refused(platform: Platform) -> None:
    """F10, as converge meets it: another writer holds the file."""
    import sqlite3

    await create(platform, "acme")
    path = await file_of(platform, "acme")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    ref = platform.parts.ref(await platform.registry.read(get_tenant, "acme"))

    def touch() -> None:
        with platform.databases.exclusive(ref):
            pass

    waiting = asyncio.create_task(asyncio.to_thread(touch))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    holder.execute("COMMIT")
    holder.close()
    await waiting
    path.rename(path.with_name("gone"))
    with pytest.raises(DatabaseUnavailable):
        await asyncio.to_thread(touch)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a.b", ".a", "A", "a" * 64, "a\n", "a\0b"])
def test_a_name_that_is_not_a_slug_never_becomes_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Slug(name)
