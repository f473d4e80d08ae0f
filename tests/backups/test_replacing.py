"""A new generation takes the place of a tenant's database, and the old one goes when its grace is over."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from controlplane.registry.operations import LeaseLost
from controlplane.registry.tenants import RegisteredTenant, get_tenant
from core.database import DatabaseRef
from core.errors import Unavailable, WrongDatabase
from provisioning import replacing
from provisioning.platform import Platform
from provisioning.replacing import Replacement
from tests.provisioning.installations import MovableClock, create, sql

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


async def registered(platform: Platform) -> RegisteredTenant:
    return await platform.registry.read(get_tenant, "acme")


def labelled_copy(platform: Platform, tenant: RegisteredTenant, replacement: Replacement, path: Path) -> Path:
    parts = platform.parts
    parts.backend(tenant.backend).snapshot(parts.ref(tenant), path)
    copy = DatabaseRef(
        path=path, owner=tenant.id, incarnation=tenant.incarnation, generation=replacement.generation
    )
    assert replacing.relabel(parts, copy, replacement.incarnation).incarnation == replacement.incarnation
    return path


async def replaced(platform: Platform, folder: Path) -> tuple[RegisteredTenant, RegisteredTenant]:
    parts, old = platform.parts, await registered(platform)
    replacement = replacing.choose(parts, old)
    copy = await asyncio.to_thread(labelled_copy, platform, old, replacement, folder / "copy.db")
    replacement = await asyncio.to_thread(replacing.put_copy, parts, old, replacement, copy)
    version = await asyncio.to_thread(replacing.check, parts, old, replacement)
    new = await parts.registry.write(
        replacing.flip, old, replacement, parts.now(), schema_version=version, grace_ms=HOUR_MS
    )
    await replacing.let_go(parts, old)
    assert replacing.is_done(new, replacement)
    return old, new


async def test_the_tenant_goes_on_in_the_new_database_and_whoever_held_the_old_one_follows(
    platform: Platform, tmp_path: Path
) -> None:
    await create(platform, "acme")
    before = await platform.directory.by_id("acme")
    assert before is not None
    users = await before.database.read(sql("SELECT kid FROM signing_keys"))
    old, new = await replaced(platform, tmp_path)
    assert (new.generation, new.location) == (2, old.location.replace(".1.db", ".2.db"))
    after = await platform.directory.by_id("acme")
    assert after is not None
    assert await after.database.read(sql("SELECT kid FROM signing_keys")) == users
    assert await after.database.read(sql("SELECT incarnation FROM tenant")) == [(new.incarnation,)]
    await before.database.write(sql("DELETE FROM clients"))
    assert await after.database.read(sql("SELECT count(*) FROM clients")) == [(0,)]
    with pytest.raises(WrongDatabase):
        platform.databases.open(platform.parts.ref(old))


async def test_the_old_database_is_kept_for_its_grace_and_then_deleted(
    platform: Platform, clock: MovableClock, tmp_path: Path
) -> None:
    await create(platform, "acme")
    old, new = await replaced(platform, tmp_path)
    folder = platform.settings.data_dir
    assert await replacing.sweep(platform.parts) == 0
    assert (folder / old.location).exists()
    clock.ahead += 3601
    assert await replacing.sweep(platform.parts) == 1
    assert not (folder / old.location).exists()
    assert (folder / new.location).exists()
    assert await replacing.sweep(platform.parts) == 0


async def test_a_tenant_that_was_pointed_elsewhere_meanwhile_is_not_flipped(
    platform: Platform, tmp_path: Path
) -> None:
    await create(platform, "acme")
    old, new = await replaced(platform, tmp_path)
    late = replacing.choose(platform.parts, old)
    with pytest.raises(LeaseLost):
        await platform.registry.write(
            replacing.flip, old, late, platform.parts.now(), schema_version="0003", grace_ms=HOUR_MS
        )
    assert (await registered(platform)).incarnation == new.incarnation


async def test_a_copy_is_put_once_and_rubbish_in_its_place_is_put_aside(
    platform: Platform, tmp_path: Path
) -> None:
    await create(platform, "acme")
    parts, tenant = platform.parts, await registered(platform)
    first = replacing.choose(parts, tenant)
    copy = await asyncio.to_thread(labelled_copy, platform, tenant, first, tmp_path / "first.db")
    for _ in range(2):
        assert await asyncio.to_thread(replacing.put_copy, parts, tenant, first, copy) == first
    second = replacing.choose(parts, tenant)
    assert second.location == first.location
    copy = await asyncio.to_thread(labelled_copy, platform, tenant, second, tmp_path / "second.db")
    await asyncio.to_thread(replacing.put_copy, parts, tenant, second, copy)
    await asyncio.to_thread(replacing.check, parts, tenant, second)
    with pytest.raises(Unavailable):
        await asyncio.to_thread(replacing.check, parts, tenant, first)
    await asyncio.to_thread(replacing.abandon, parts, tenant, second)
    assert not (platform.settings.data_dir / second.location).exists()


async def test_what_is_chosen_can_be_written_down_and_read_again(platform: Platform) -> None:
    await create(platform, "acme")
    chosen = replacing.choose(platform.parts, await registered(platform))
    sealed = msgspec.structs.replace(chosen, credentials=b"\x00sealed\xff")
    written = msgspec.json.encode(msgspec.to_builtins(sealed))
    assert msgspec.convert(msgspec.json.decode(written), Replacement) == sealed
