"""Breaks things one after the other, as a seed says, and mends what does not mend itself."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

from tests.faults.checks import file_of
from tests.faults.everything.history import EVERYBODY, History
from tests.faults.everything.lives import revive, stand_still
from tests.faults.servers import Server

FAILPOINTS = (
    "sync.apply.rows=exit@3",
    "sync.applied=exit@2",
    "sync.claimed=sleep:0.3",
    "provision.catalogue.before=exit@2",
    "provision.organization.after=exit@2",
    "provision.delete.file.before=exit@1",
    "database.before_commit=exit@40",
    "database.after_commit=exit@60",
    "keys.committed=exit@1",
)


class Disturber:
    def __init__(
        self,
        data: Path,
        servers: list[Server],
        tenants: list[str],
        history: History,
        rng: random.Random,
        start: Callable[[str], Server],
    ) -> None:
        self._data = data
        self._servers = servers
        self._tenants = tenants
        self._history = history
        self._rng = rng
        self._start = start
        self._all_lived = monotonic()

    async def run(self, ended: asyncio.Event) -> None:
        faults: tuple[Callable[[], Awaitable[None]], ...] = (
            self._kill,
            self._kill,
            self._stand_still,
            self._lock_a_tenant,
            self._lock_a_tenant,
            self._take_a_file_away,
            self._lock_the_registry,
            self._lock_tenant_one,
        )
        while not ended.is_set():
            await self._revive()
            await self._rng.choice(faults)()
            await asyncio.sleep(self._rng.uniform(0.5, 3.0))
        await self._revive()

    async def _revive(self) -> None:
        def start(_: int) -> Server:
            return self._start("")

        self._all_lived = await revive(self._servers, self._history, start, self._all_lived)

    async def _stand_still(self) -> None:
        await stand_still(self._servers, self._history, self._rng)

    async def _kill(self) -> None:
        number = self._rng.randrange(len(self._servers))
        with self._history.breaking("kill", server=number):
            await asyncio.to_thread(self._servers[number].kill)
            await asyncio.sleep(self._rng.uniform(0.0, 1.0))
            await self._begin_anew(number)

    async def _begin_anew(self, number: int) -> None:
        """Half of the new lives are to end by themselves, at some step."""
        failing = self._rng.choice(FAILPOINTS) if self._rng.random() < 0.5 else ""
        self._servers[number] = self._start(failing)
        try:
            await self._servers[number].ready()
        except AssertionError:  # it died on its way, as it was told to
            await asyncio.to_thread(self._servers[number].kill)
            self._servers[number] = self._start("")
            await self._servers[number].ready()

    async def _lock_a_tenant(self) -> None:
        tenant = self._rng.choice(self._tenants)
        with self._history.breaking("lock", tenant=tenant):
            await self._lock(file_of(self._data, tenant), self._rng.uniform(0.5, 6.0))

    async def _lock_the_registry(self) -> None:
        with self._history.breaking("registry locked", tenant=EVERYBODY):
            await self._lock(self._data / "registry.db", self._rng.uniform(0.5, 3.0))

    async def _lock_tenant_one(self) -> None:
        with self._history.breaking("tenant one locked", tenant=EVERYBODY):
            await self._lock(file_of(self._data, "control_plane"), self._rng.uniform(0.5, 3.0))

    async def _lock(self, file: Path, seconds: float) -> None:
        outsider = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            await asyncio.to_thread(outsider.execute, "BEGIN EXCLUSIVE")
            await asyncio.sleep(seconds)
        except sqlite3.OperationalError:  # somebody else held it all the time
            return
        finally:
            outsider.close()

    async def _take_a_file_away(self) -> None:
        tenant = self._rng.choice(self._tenants)
        file = file_of(self._data, tenant)
        away = file.with_name(f"{file.name}.away")
        with self._history.breaking("away", tenant=tenant):
            file.rename(away)
            await asyncio.sleep(self._rng.uniform(0.5, 3.0))
            away.rename(file)
