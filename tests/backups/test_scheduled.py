"""Backups that nobody asked for: each tenant once in an interval, changed ones only, kept for so long."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from time import time_ns

import pytest

from controlplane.registry.backups import REGISTRY, BackupRecord, Schedule, find_schedule, list_backups
from core.database import files_of
from core.settings import Settings
from provisioning.backups.taking import path_of
from provisioning.platform import Platform
from tests.backups.test_killed import files_under
from tests.provisioning.installations import MovableClock, create, opened, settings_for, settle, sql

pytestmark = pytest.mark.anyio

HOUR = 3600
MOMENT_NS = 5_000_000_000


@pytest.fixture
def settings(data: Path) -> Settings:
    return settings_for(data, backup_every_hours=6, backup_keep_daily=2, backup_keep_weekly=1)


@pytest.fixture
async def platform(settings: Settings, clock: MovableClock) -> AsyncGenerator[Platform, None]:
    async with opened(settings, clock=clock) as platform:
        await create(platform, "acme")
        yield platform


async def backups_of(platform: Platform, owner: str = "acme") -> list[BackupRecord]:
    return await platform.registry.read(list_backups, owner)


def owners(platform: Platform) -> list[str]:
    """Whose backups are due: a registry on PostgreSQL is copied by PostgreSQL's own tools."""
    return ["acme", "control_plane", *([REGISTRY] if platform.settings.registry_url is None else [])]


async def schedule_of(platform: Platform) -> Schedule:
    found = await platform.registry.read(find_schedule, "acme")
    assert found is not None
    return found


async def change(platform: Platform) -> None:
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    await tenant.database.write(sql("UPDATE tenant SET config_version = config_version + 1"))


async def let_files_settle(platform: Platform) -> None:
    """As if they had been written a while ago: a moment ago, and their time says nothing."""
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    for path in files_of(tenant.database.ref.file)[:2]:
        written_at = path.stat().st_mtime_ns if path.exists() else 0
        if time_ns() - written_at < MOMENT_NS:
            os.utime(path, ns=(written_at - MOMENT_NS, written_at - MOMENT_NS))


async def test_each_tenant_and_the_registry_are_copied_once_in_an_interval(
    platform: Platform, clock: MovableClock
) -> None:
    await platform.backup_schedule.run_due()
    clock.ahead += 6 * HOUR
    await platform.backup_schedule.run_due()
    assert [len(await backups_of(platform, owner)) for owner in owners(platform)] == [1] * len(
        owners(platform)
    )
    assert await platform.backup_schedule.run_due() == 0
    (backup,) = await backups_of(platform)
    assert (backup.kind, backup.verified_at >= backup.taken_at) == ("scheduled", True)
    assert path_of(platform.parts, backup).stat().st_size == backup.stored_size


async def test_the_times_are_spread_over_the_interval_and_kept(
    platform: Platform, clock: MovableClock
) -> None:
    for name in ("a", "b", "c", "d"):
        await create(platform, name)
    await platform.backup_schedule.run_due()
    now = platform.parts.now()
    due = [await platform.registry.read(find_schedule, name) for name in ("a", "b", "c", "d")]
    times = {schedule.due_at for schedule in due if schedule is not None}
    assert len(times) == 4
    assert all(now <= at <= now + 6 * HOUR * 1000 for at in times)
    first = (await schedule_of(platform)).due_at
    clock.ahead += 9 * HOUR
    await platform.backup_schedule.run_due()
    assert abs((await schedule_of(platform)).due_at - first) % (6 * HOUR * 1000) < 60_000


async def test_one_that_did_not_change_is_not_copied_again(platform: Platform, clock: MovableClock) -> None:
    for _ in range(4):
        clock.ahead += 6 * HOUR
        await let_files_settle(platform)
        await platform.backup_schedule.run_due()
    count = len(await backups_of(platform))
    assert count <= 2  # the first copy itself may end the log of the database
    assert platform.backup_schedule.unchanged >= 2
    await change(platform)
    clock.ahead += 6 * HOUR
    await platform.backup_schedule.run_due()
    assert len(await backups_of(platform)) == count + 1


async def test_old_ones_go_and_those_taken_by_hand_stay(platform: Platform, clock: MovableClock) -> None:
    await platform.backups.take("acme")
    (by_hand,) = await backups_of(platform)
    for _ in range(4 * 5):
        await change(platform)
        clock.ahead += 6 * HOUR
        await platform.backup_schedule.run_due()
    left = await backups_of(platform)
    scheduled = [backup for backup in left if backup.kind == "scheduled"]
    assert 4 <= len(scheduled) <= 4 + 2 + 1
    assert by_hand in left
    stored = files_under(platform.settings.backup_folder / "tenants" / "acme")
    assert stored == sorted(f"{backup.id}.backup" for backup in left)


async def test_a_failing_one_is_named_tried_again_and_keeps_its_older_backups(
    platform: Platform, clock: MovableClock
) -> None:
    await platform.backup_schedule.run_due()
    clock.ahead += 6 * HOUR
    await platform.backup_schedule.run_due()
    kept = await backups_of(platform)
    await change(platform)
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    file, away = tenant.database.ref.file, tenant.database.ref.file.with_suffix(".away")
    await platform.databases.forget(tenant.database.ref)
    file.rename(away)
    clock.ahead += 60 * 24 * HOUR
    await platform.backup_schedule.run_due()
    schedule = await schedule_of(platform)
    assert schedule.attempts == 1
    assert schedule.last_error is not None
    assert platform.backup_schedule.failing == 1
    assert await backups_of(platform) == kept
    away.rename(file)
    clock.ahead += 120
    await platform.backup_schedule.run_due()
    assert ((await schedule_of(platform)).attempts, platform.backup_schedule.failing) == (0, 0)
    assert len(await backups_of(platform)) == len(kept) + 1


async def test_of_two_processes_one_takes_each(
    settings: Settings, platform: Platform, clock: MovableClock
) -> None:
    await platform.backup_schedule.run_due()
    clock.ahead += 6 * HOUR
    async with opened(settings, clock=clock) as other:
        first = await platform.backup_schedule.run_due()
        assert first + await other.backup_schedule.run_due() == len(owners(platform))
    assert len(await backups_of(platform)) == 1


async def test_a_destroyed_tenant_leaves_no_backup_and_its_key_opens_none(
    platform: Platform, clock: MovableClock
) -> None:
    await platform.backups.take("acme")
    await platform.lifecycle.delete("acme")
    assert len(await backups_of(platform)) == 1
    clock.ahead += 8 * 24 * HOUR
    await settle(platform)
    assert await backups_of(platform) == []
    assert files_under(platform.settings.backup_folder / "tenants") == []
    assert await platform.registry.read(find_schedule, "acme") is None
