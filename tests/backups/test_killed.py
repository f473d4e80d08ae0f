"""The process dies between any two steps of a backup, a restore or a clean-up; the next life finishes it."""

import asyncio
from pathlib import Path

import pytest

from controlplane.registry.backups import REGISTRY, BackupRecord, list_backups
from controlplane.registry.operations import OperationRecord, list_operations
from controlplane.registry.retired import retired_of_tenant
from controlplane.registry.tenants import get_tenant
from core.failpoints import EXIT_STATUS
from core.settings import Settings
from core.tenants import RestoreOrder
from provisioning import replacing
from provisioning.fence import is_fenced
from provisioning.platform import Platform
from tests.matrices import in_ci
from tests.provisioning.installations import (
    MovableClock,
    create,
    files_in,
    in_child,
    opened,
    settings_for,
    settle,
    sql,
)

pytestmark = pytest.mark.faults

BACKING_UP = ["backup.snapshot.after", "backup.draft.after", "backup.stored.after"]
RESTORING = [
    *(f"restore.{step}.before" for step in ("choose", "prepare", "fence", "settle", "put", "flip")),
    "backend.create.draft",
    "replace.put.after",
    "restore.flip.after",
]


async def backing_up(settings: Settings) -> None:
    async with opened(settings) as platform:
        await platform.backups.take("acme")


async def restoring(settings: Settings, backup_id: str) -> None:
    async with opened(settings) as platform:
        await platform.backups.restore("acme", RestoreOrder(backup_id=backup_id))


async def prepared(settings: Settings) -> None:
    async with opened(settings) as platform:
        await create(platform, "acme")


async def with_a_backup(settings: Settings) -> str:
    async with opened(settings) as platform:
        await create(platform, "acme")
        await platform.backups.take("acme")
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        await tenant.database.write(sql("UPDATE clients SET name = 'changed since'"))
        return (await backups_of(platform))[0].id


async def backups_of(platform: Platform) -> list[BackupRecord]:
    return await platform.registry.read(list_backups, "acme")


async def latest(platform: Platform) -> OperationRecord:
    return (await platform.registry.read(list_operations, tenant_id="acme", limit=1))[0]


def files_under(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.anyio
@pytest.mark.parametrize("point", in_ci(BACKING_UP, ["backup.draft.after"]))
async def test_a_backup_whose_process_dies_is_taken_by_the_next_life(settings: Settings, point: str) -> None:
    await prepared(settings)
    assert in_child(lambda: backing_up(settings), f"{point}=exit") == EXIT_STATUS
    async with opened(settings) as platform:
        await settle(platform)
        assert (await latest(platform)).state == "succeeded"
        (backup,) = await backups_of(platform)
        assert files_under(settings.backup_folder) == [f"{backup.id}.backup"]
        assert files_under(settings.data_dir / "drafts") == []


@pytest.mark.anyio
@pytest.mark.parametrize("point", in_ci(BACKING_UP, ["backup.stored.after"]))
async def test_a_scheduled_backup_whose_process_dies_leaves_no_file_that_nobody_knows(
    data: Path, clock: MovableClock, point: str
) -> None:
    settings = settings_for(data, backup_every_hours=1)
    await prepared(settings)

    async def scheduled() -> None:
        async with opened(settings, clock=clock) as platform:
            await platform.backup_schedule.run_due()

    await scheduled()
    clock.ahead += 3600
    assert in_child(scheduled, f"{point}=exit") == EXIT_STATUS
    async with opened(settings, clock=clock) as platform:
        await platform.backup_schedule.run_due()
        owners = ("acme", "control_plane", REGISTRY)
        known = [each for owner in owners for each in await platform.registry.read(list_backups, owner)]
        assert len(known) == 3
        assert files_under(settings.backup_folder) == sorted(f"{each.id}.backup" for each in known)


@pytest.mark.anyio
@pytest.mark.parametrize("point", in_ci(RESTORING, ["restore.fence.before", "backend.create.draft"]))
async def test_a_restore_whose_process_dies_is_finished_by_the_next_life(
    settings: Settings, point: str
) -> None:
    backup_id = await with_a_backup(settings)
    assert in_child(lambda: restoring(settings, backup_id), f"{point}=exit") == EXIT_STATUS
    async with opened(settings) as platform:
        await settle(platform)
        done = await latest(platform)
        assert (done.kind, done.state) == ("restore_backup", "succeeded")
        await _is_whole(platform)


@pytest.mark.anyio
async def test_a_restore_of_tenant_one_whose_process_dies_is_finished_although_it_is_away(
    settings: Settings,
) -> None:
    async with opened(settings) as platform:
        await platform.backups.take("control_plane")
        backup_id = (await platform.registry.read(list_backups, "control_plane"))[0].id
        path = settings.data_dir / (await platform.registry.read(get_tenant, "control_plane")).location
    path.rename(path.with_name("away"))

    async def restoring_tenant_one() -> None:
        async with opened(settings) as platform:
            await platform.backups.restore("control_plane", RestoreOrder(backup_id=backup_id))

    assert in_child(restoring_tenant_one, "restore.put.before=exit") == EXIT_STATUS
    async with opened(settings) as platform, asyncio.timeout(60):
        platform.start()
        while (await platform.registry.read(list_operations, limit=1))[0].state != "succeeded":
            await asyncio.sleep(0.05)
        await platform.directory.control_plane()


async def _is_whole(platform: Platform) -> None:
    record = await platform.registry.read(get_tenant, "acme")
    assert record.generation == 2
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    assert await tenant.database.read(sql("SELECT count(*) FROM clients WHERE name = 'changed since'")) == [
        (0,)
    ]
    assert not await tenant.database.read(is_fenced)
    await tenant.database.write(sql("UPDATE clients SET name = 'and goes on'"))
    (retired,) = await platform.registry.read(retired_of_tenant, "acme")
    assert retired.generation == 1
    named = [name for name in files_in(platform.settings.data_dir) if "acme" in name]
    assert named == sorted([retired.location, record.location])
    assert files_under(platform.settings.data_dir / "drafts") == []


@pytest.mark.anyio
async def test_a_restore_that_dies_again_and_again_is_finished_all_the_same(settings: Settings) -> None:
    backup_id = await with_a_backup(settings)
    assert in_child(lambda: restoring(settings, backup_id), "restore.put.before=exit") == EXIT_STATUS

    async def resuming() -> None:
        async with opened(settings) as platform:
            await settle(platform)

    for point in ("restore.settle.before", "replace.put.after", "restore.flip.before", "restore.flip.after"):
        assert in_child(resuming, f"{point}=exit") == EXIT_STATUS
    async with opened(settings) as platform:
        await settle(platform)
        assert (await latest(platform)).state == "succeeded"
        await _is_whole(platform)


@pytest.mark.anyio
async def test_the_old_database_goes_although_the_clean_up_dies(
    settings: Settings, clock: MovableClock
) -> None:
    backup_id = await with_a_backup(settings)
    await restoring(settings, backup_id)

    async def cleaning() -> None:
        async with opened(settings, clock=clock) as platform:
            await replacing.sweep(platform.parts)

    clock.ahead += 25 * 3600
    assert in_child(cleaning, "replace.sweep.deleted=exit") == EXIT_STATUS
    async with opened(settings, clock=clock) as platform:
        assert await replacing.sweep(platform.parts) == 1
        assert await platform.registry.read(retired_of_tenant, "acme") == []
        record = await platform.registry.read(get_tenant, "acme")
        assert [name for name in files_in(settings.data_dir) if "acme" in name] == [record.location]
