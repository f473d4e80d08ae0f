"""What is no backup is not restored, what is damaged becomes none, and one thing at a time is done to a tenant."""

import asyncio
from pathlib import Path

import pytest

from controlplane.registry.backups import BackupRecord, list_backups
from controlplane.registry.operations import OperationRecord, get_operation, list_operations
from controlplane.registry.tenants import RegisteredTenant, get_tenant
from core import failpoints
from core.errors import Conflict, InvalidInput, NotFound
from core.failpoints import FailpointReached
from core.settings import Settings
from core.tenants import RestoreOrder
from provisioning.backups.taking import path_of
from provisioning.fence import is_fenced
from provisioning.operations import run_due
from provisioning.platform import Platform
from tests.provisioning.installations import (
    MovableClock,
    create,
    ended,
    files_in,
    opened,
    settle,
    sql,
    start_child,
)

pytestmark = pytest.mark.anyio


async def registered(platform: Platform) -> RegisteredTenant:
    return await platform.registry.read(get_tenant, "acme")


async def backed_up(platform: Platform, tenant_id: str = "acme") -> BackupRecord:
    await platform.backups.take(tenant_id)
    return (await platform.registry.read(list_backups, tenant_id))[0]


async def restored(platform: Platform, order: RestoreOrder) -> OperationRecord:
    return await platform.registry.read(get_operation, await platform.backups.restore("acme", order))


async def goes_on(platform: Platform) -> None:
    """As if nothing had been tried: same database, no fence, nothing left lying."""
    record = await registered(platform)
    assert record.generation == 1
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    assert not await tenant.database.read(is_fenced)
    await tenant.database.write(sql("UPDATE clients SET name = 'goes on'"))
    assert [name for name in files_in(platform.settings.data_dir) if "acme" in name] == [record.location]


def flip_bit(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize("place", [0, 30, 600, -1])
async def test_a_backup_with_one_bit_changed_is_given_up(platform: Platform, place: int) -> None:
    await create(platform, "acme")
    backup = await backed_up(platform)
    flip_bit(path_of(platform.parts, backup), place)
    done = await restored(platform, RestoreOrder(backup_id=backup.id))
    assert done.state == "cancelled"
    assert "damaged" in (done.error or "")
    await goes_on(platform)


@pytest.mark.parametrize("length", [0, 40, 700, -1])
async def test_a_backup_that_was_cut_is_given_up(platform: Platform, length: int) -> None:
    await create(platform, "acme")
    backup = await backed_up(platform)
    cut(path_of(platform.parts, backup), length)
    done = await restored(platform, RestoreOrder(backup_id=backup.id))
    assert done.state == "cancelled"
    await goes_on(platform)


async def test_a_file_of_another_tenant_under_this_ones_name_is_given_up(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    own, others = await backed_up(platform), await backed_up(platform, "globex")
    path_of(platform.parts, own).write_bytes(path_of(platform.parts, others).read_bytes())
    for order in (RestoreOrder(backup_id=own.id), RestoreOrder(file=path_of(platform.parts, others))):
        assert (await restored(platform, order)).state == "cancelled"
        await goes_on(platform)


async def test_a_file_is_restored_from_wherever_it_lies(platform: Platform, tmp_path: Path) -> None:
    await create(platform, "acme")
    backup = await backed_up(platform)
    elsewhere = tmp_path / "carried.backup"
    path_of(platform.parts, backup).rename(elsewhere)
    assert (await restored(platform, RestoreOrder(file=elsewhere))).state == "succeeded"
    assert (await registered(platform)).generation == 2


async def test_what_does_not_exist_is_refused_before_anything_begins(
    platform: Platform, tmp_path: Path
) -> None:
    await create(platform, "acme")
    backup = await backed_up(platform)
    for order, refusal in (
        (RestoreOrder(backup_id="bak_nothing"), NotFound),
        (RestoreOrder(backup_id=backup.id, backend="nothing"), InvalidInput),
        (RestoreOrder(file=tmp_path / "nothing"), Conflict),
    ):
        with pytest.raises(refusal):
            await platform.backups.restore("acme", order)
    kinds = {done.kind for done in await platform.registry.read(list_operations, tenant_id="acme")}
    assert kinds == {"create", "backup"}


async def test_a_damaged_database_becomes_no_backup(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    file = tenant.database.ref.file
    await platform.databases.forget(tenant.database.ref)
    content = bytearray(file.read_bytes())
    for page in range(10, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = bytes(200)
    file.write_bytes(content)
    operation_id = await platform.backups.take("acme")
    await settle(platform)
    done = await platform.registry.read(get_operation, operation_id)
    assert done.state in ("cancelled", "failed")
    assert await platform.registry.read(list_backups, "acme") == []
    assert not list(platform.settings.backup_folder.rglob("*.backup"))


async def test_a_database_whose_secrets_do_not_open_becomes_no_backup(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    await tenant.database.write(sql("UPDATE signing_keys SET private_key = zeroblob(64)"))
    done = await platform.registry.read(get_operation, await platform.backups.take("acme"))
    assert (done.state, done.error is not None and "sealed" in done.error) == ("cancelled", True)


async def test_while_one_restore_is_under_way_no_other_and_no_deletion_begins(platform: Platform) -> None:
    await create(platform, "acme")
    backup = await backed_up(platform)
    failpoints.configure("restore.put.before=raise@1")
    order = RestoreOrder(backup_id=backup.id)
    assert (await restored(platform, order)).state == "failed"
    for begin in (platform.backups.restore("acme", order), platform.lifecycle.delete("acme")):
        with pytest.raises(Conflict) as refused:
            await begin
        assert refused.value.code == "operation_in_progress"
    await platform.lifecycle.retry("acme")
    assert (await registered(platform)).generation == 2
    await platform.lifecycle.delete("acme")


async def test_a_restore_that_fails_leaves_the_tenant_written_while_it_waits(
    platform: Platform, clock: MovableClock
) -> None:
    await create(platform, "acme")
    backup = await backed_up(platform)
    failpoints.configure("restore.settle.before=raise")
    done = await restored(platform, RestoreOrder(backup_id=backup.id))
    assert done.state == "failed"
    assert FailpointReached.__name__ in (done.error or "")
    for _ in range(7):
        await goes_on(platform)
        clock.ahead += 600
        await run_due(platform.parts)
    done = await platform.registry.read(get_operation, done.id)
    assert (done.state, done.attempts) == ("cancelled", 8)
    await goes_on(platform)


async def test_what_fails_after_the_flip_is_never_undone(platform: Platform, clock: MovableClock) -> None:
    """Not even by the attempt after which a restore is given up."""
    await create(platform, "acme")
    backup = await backed_up(platform)
    failpoints.configure("restore.put.before=raise")
    done = await restored(platform, RestoreOrder(backup_id=backup.id))
    for point in [*["restore.put.before=raise"] * 6, "restore.flip.after=raise"]:
        failpoints.configure(point)
        clock.ahead += 600
        await run_due(platform.parts)
    done = await platform.registry.read(get_operation, done.id)
    assert (done.state, done.attempts) == ("failed", 8)
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    await tenant.database.write(sql("UPDATE clients SET name = 'written since'"))
    failpoints.configure("")
    clock.ahead += 600
    await run_due(platform.parts)
    assert (await platform.registry.read(get_operation, done.id)).state == "succeeded"
    assert (await registered(platform)).generation == 2
    assert await tenant.database.read(sql("SELECT DISTINCT name FROM clients")) == [("written since",)]


async def test_a_worker_that_lost_its_lease_changes_nothing_any_more(
    settings: Settings, clock: MovableClock
) -> None:
    """F24: stopped behind the fence, it wakes up when another has finished and the tenant is written again."""
    async with opened(settings) as platform:
        await create(platform, "acme")
        backup = await backed_up(platform)

    async def slow() -> None:
        async with opened(settings) as platform:
            await platform.backups.restore("acme", RestoreOrder(backup_id=backup.id))

    pid = start_child(slow, "restore.put.before=sleep:4")
    clock.ahead += 60
    async with opened(settings, clock=clock) as platform:
        operation = await _taken_over(platform)
        assert operation.state == "succeeded"
        record = await registered(platform)
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        await tenant.database.write(sql("UPDATE clients SET name = 'written since'"))
        await asyncio.to_thread(ended, pid)
        assert await registered(platform) == record
        assert await tenant.database.read(sql("SELECT DISTINCT name FROM clients")) == [("written since",)]
        old = platform.settings.data_dir / record.location.replace(".2.db", ".1.db")
        assert old.exists()


async def _taken_over(platform: Platform) -> OperationRecord:
    for _ in range(400):
        latest = (await platform.registry.read(list_operations, tenant_id="acme", limit=1))[0]
        if latest.kind == "restore_backup" and latest.steps and latest.steps[-1]["name"] == "put":
            break
        if latest.kind == "restore_backup" and latest.state == "succeeded":
            break
        await asyncio.sleep(0.01)
    for _ in range(20):
        await run_due(platform.parts)
        latest = (await platform.registry.read(list_operations, tenant_id="acme", limit=1))[0]
        if latest.state == "succeeded":
            break
        await asyncio.sleep(0.1)
    return latest
