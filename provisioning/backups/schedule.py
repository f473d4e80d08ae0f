"""Backups that nobody asked for: one task per process, one copy at a time, each tenant once in an interval.

A tenant's first time is spread over the interval by its id, and it keeps its place: ten thousand tenants a day are one
every eight seconds. After a copy the task rests a few times as long as it took, so requests go first. Tenants are
claimed in the registry, by lease. One that looks as it did at its last backup is passed over; one that fails is tried
again with a growing pause and is named by the fleet until it succeeds. What is past its retention goes after each
success, never after a failure.
"""

import asyncio
from contextlib import suppress
from hashlib import sha256
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import Connection

from controlplane.registry.backups import (
    REGISTRY,
    BackupRecord,
    Schedule,
    claim_due,
    count_failing,
    finish_schedule,
    list_backups,
    plan,
    put_backup,
    schedule_lease_owners,
    serving_tenant,
    unscheduled,
)
from controlplane.registry.operations import LeaseLost
from controlplane.registry.tenants import RegisteredTenant
from core.errors import IdentityError
from core.ids import new_id
from provisioning import replacing
from provisioning.backups.orders import drop
from provisioning.backups.retention import expired
from provisioning.backups.stored import delete_backup
from provisioning.backups.taking import location_of, stamp_of, take, take_registry
from provisioning.drafts import clear_drafts
from provisioning.parts import Parts
from provisioning.presence import is_dead
from provisioning.registry_place import file_ref
from sync.fleet import describe

_log = structlog.get_logger(__name__)

ROUND_SECONDS = 5.0
SWEEP_SECONDS = 60.0
REST = 4
HOUR_MS = 3_600_000
FIRST_BACK_OFF_MS = 60_000
LONGEST_BACK_OFF_MS = HOUR_MS
PLANNED_AT_ONCE = 256
ONE_ROUND = 64

Claim = tuple[Schedule, RegisteredTenant | None]
"""None: the registry itself."""


class BackupSchedule:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._task: asyncio.Task[None] | None = None
        self._sweep_at = 0.0
        self._interval = int(parts.settings.backup_every_hours * HOUR_MS)
        self.taken = 0
        self.unchanged = 0
        self.failing = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="backups")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def run_due(self) -> int:
        """What is due now, so many of them at most; answers how many."""
        done = 0
        if self._interval:
            await self._plan()
            while done < ONE_ROUND and await self._next():
                done += 1
            self.failing = await self._parts.registry.read(count_failing)
        return done

    # --- inside ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self._round()
            except IdentityError as error:
                _log.warning("backups_wait", reason=type(error).__name__)
            except Exception:  # noqa: BLE001  (the task outlives whatever one round met)
                _log.exception("backups_wait")

    async def _round(self) -> None:
        if monotonic() >= self._sweep_at:
            self._sweep_at = monotonic() + SWEEP_SECONDS
            await asyncio.to_thread(clear_drafts, self._parts)
            await replacing.sweep(self._parts)
        await self.run_due()

    async def _plan(self) -> None:
        now = self._parts.now()
        while owners := await self._parts.registry.read(unscheduled, PLANNED_AT_ONCE):
            await self._parts.registry.write(plan, [(owner, now + self._slot(owner)) for owner in owners])
        if self._parts.settings.registry_url is None:
            await self._parts.registry.write(plan, [(REGISTRY, now + self._interval // 24)])

    def _slot(self, owner: str) -> int:
        return int.from_bytes(sha256(owner.encode()).digest()[:6], "big") % self._interval

    async def _next(self) -> bool:
        claimed = await self._claim()
        if claimed is None:
            return False
        began = monotonic()
        await self._back_up(*claimed)
        await asyncio.sleep(min(ROUND_SECONDS, REST * (monotonic() - began)))
        return True

    async def _claim(self) -> Claim | None:
        parts = self._parts
        owners = await parts.registry.read(schedule_lease_owners)
        dead = [owner for owner in owners if owner != parts.owner and is_dead(parts.settings, owner)]
        claimed = await parts.registry.write(
            claim_due,
            owner=parts.owner,
            node=parts.settings.node,
            backup_id=new_id("bak"),
            now=parts.now(),
            longest=self._interval + LONGEST_BACK_OFF_MS,
            dead=dead,
        )
        if claimed is None:
            return None
        schedule, unfinished = claimed
        if unfinished is not None:
            await self._discard(schedule.owner, unfinished)
        if schedule.owner == REGISTRY:
            return schedule, None
        tenant = await parts.registry.read(serving_tenant, schedule.owner)
        return (schedule, tenant) if tenant is not None else None

    async def _back_up(self, schedule: Schedule, tenant: RegisteredTenant | None) -> None:
        log = _log.bind(owner=schedule.owner, backup=schedule.backup_id)
        try:
            await self._copied(schedule, tenant)
        except LeaseLost:
            log.info("backup_taken_over")
            await self._discard(schedule.owner, schedule.backup_id)
        except Exception as error:
            log.warning(
                "backup_failed", attempt=schedule.attempts + 1, reason=describe(error), exc_info=error
            )
            await self._failed(schedule, error)

    async def _copied(self, schedule: Schedule, tenant: RegisteredTenant | None) -> None:
        parts = self._parts
        ref = file_ref(parts.settings) if tenant is None else parts.ref(tenant)
        kept = await parts.registry.read(list_backups, schedule.owner)
        stamp = await asyncio.to_thread(stamp_of, ref)
        if kept and stamp is not None and stamp == schedule.stamp:
            await self._finish(schedule, None, stamp)
            self.unchanged += 1
            return
        backup = await asyncio.to_thread(self._take, schedule, tenant)
        await self._finish(schedule, backup, stamp)
        self.taken += 1
        await self._drop_expired([*kept, backup])

    def _take(self, schedule: Schedule, tenant: RegisteredTenant | None) -> BackupRecord:
        assert schedule.backup_id is not None
        if tenant is None:
            return take_registry(self._parts, schedule.backup_id, "scheduled")
        return take(self._parts, tenant, schedule.backup_id, "scheduled")

    async def _finish(self, schedule: Schedule, backup: BackupRecord | None, stamp: str | None) -> None:
        now = self._parts.now()
        late = max(0, now - schedule.due_at) % self._interval
        await self._parts.registry.write(
            _finished,
            schedule,
            backup,
            now,
            due_at=now + self._interval - late,
            attempts=0,
            last_error=None,
            stamp=stamp,
        )

    async def _failed(self, schedule: Schedule, error: Exception) -> None:
        now, attempts = self._parts.now(), schedule.attempts + 1
        wait = min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** min(attempts - 1, 20))
        await self._discard(schedule.owner, schedule.backup_id)
        with suppress(LeaseLost):
            await self._parts.registry.write(
                finish_schedule,
                schedule,
                now,
                due_at=now + wait,
                attempts=attempts,
                last_error=describe(error),
            )

    async def _discard(self, owner: str, backup_id: str | None) -> None:
        """The file of one that no row tells of."""
        if backup_id is not None:
            path = self._parts.settings.backup_folder / location_of(owner, backup_id)
            await asyncio.to_thread(delete_backup, path)

    async def _drop_expired(self, backups: list[BackupRecord]) -> None:
        settings = self._parts.settings
        scheduled = {backup.id: backup for backup in backups if backup.kind == "scheduled"}
        gone = expired(
            [(backup.id, backup.taken_at) for backup in scheduled.values()],
            self._parts.now(),
            daily=settings.backup_keep_daily,
            weekly=settings.backup_keep_weekly,
        )
        for backup_id in gone:
            backup = scheduled[backup_id]
            if backup.node is None or backup.node == settings.node:
                await drop(self._parts, backup)


def _finished(
    connection: Connection, schedule: Schedule, backup: BackupRecord | None, now: int, **values: Any
) -> None:
    finish_schedule(connection, schedule, now, **values)
    if backup is not None:
        put_backup(connection, backup)
