"""The servers' part in the migration of the fleet: whatever run is under way, they work on it; with
`KEYSTEAD_MIGRATE=background` they begin one after a start."""

import asyncio
from contextlib import suppress
from time import monotonic

import structlog

from core.errors import IdentityError
from core.settings import Settings
from provisioning.migrating import snapshots
from provisioning.migrating.run import Migrations

_log = structlog.get_logger(__name__)

ROUND_SECONDS = 1.0
LOOK_SECONDS = 5.0
SWEEP_SECONDS = 3_600.0
DAY_SECONDS = 86_400.0


def begins_by_itself(settings: Settings) -> bool:
    """What nobody has chosen is the convenience of one node, and the caution of several."""
    if settings.migrate is not None:
        return settings.migrate == "background"
    return settings.registry_url is None


class BackgroundMigration:
    def __init__(self, migrations: Migrations, settings: Settings) -> None:
        self._migrations = migrations
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._look_at = 0.0
        self._sweep_at = 0.0
        self.has_looked = not begins_by_itself(settings)
        """Whether it is known if a run is to be."""

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="migrations")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._migrations.close)

    async def _go_on(self) -> None:
        """Not in the first second: the start is for those who wait for an answer."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self._round()
            except IdentityError as error:
                _log.warning("migration_round_failed", reason=type(error).__name__)
            except Exception:  # noqa: BLE001  (the task outlives whatever one round met)
                _log.exception("migration_round_failed")

    async def _round(self) -> None:
        run = await self._migrations.latest()
        if not self.has_looked:
            if run is None or run.ended_at is not None:
                await self._migrations.start()
                run = await self._migrations.latest()
            self.has_looked = True
        if run is not None and run.state == "running":
            await self._migrations.work(run.id)
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_SECONDS
            await self._migrations.note_failing()
        if monotonic() >= self._sweep_at:
            self._sweep_at = monotonic() + SWEEP_SECONDS
            keep = self._settings.snapshot_days * DAY_SECONDS
            await asyncio.to_thread(snapshots.sweep, self._settings, keep)
