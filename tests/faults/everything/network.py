"""Breaks what lies between three machines and their engines, the engines, and the machines, as a seed says."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import psycopg

from core.database.remote.postgresql import ONE_WRITER
from tests.engines.proxy import Fault, Kind
from tests.engines.tcp_proxy import TcpProxy
from tests.faults.everything.balanced import Workers
from tests.faults.everything.history import REGISTRY, History
from tests.faults.everything.lives import revive, stand_still
from tests.faults.everything.several_nodes import Land, Machine
from tests.faults.servers import Server

FAILPOINTS = (
    "sync.apply.rows=exit@3",
    "sync.applied=exit@2",
    "provision.organization.after=exit@1",
    "restore.put.before=exit@1",
    "restore.flip.after=exit@1",
    "migrate.commit.after=exit@2",
    "backup.stored.after=exit@1",
    "move.flip.before=exit@1",
    "move.flip.after=exit@1",
    "keys.committed=exit@1",
)
ANSWERS = (
    Fault(Kind.CUT_BEFORE),
    Fault(Kind.CUT_AFTER_SENDING),
    Fault(Kind.CUT_AFTER_ANSWER),
    Fault(Kind.TRUNCATED),
    Fault(Kind.GARBLED),
    Fault(Kind.REFUSED, status=503),
    Fault(Kind.DELAYED, seconds=1.5),
    Fault(Kind.BLACK_HOLE),
)
FLAPPING_SECONDS = 0.5
ORPHAN_SECONDS = 5.0


class Network:
    def __init__(self, land: Land, workers: Workers, history: History, rng: random.Random) -> None:
        self._land = land
        self._servers = workers.servers
        self._history = history
        self._rng = rng
        self._all_lived = monotonic()

    async def run(self, ended: asyncio.Event) -> None:
        faults: tuple[Callable[[], Awaitable[None]], ...] = (
            self._kill,
            self._kill,
            self._stand_still,
            self._spoil_answers,
            self._spoil_answers,
            self._flap,
            self._lose_postgresql,
            self._lose_the_registry,
            self._lose_the_registry,
            self._restart_libsql,
            self._restart_postgresql,
            self._restart_the_registry,
            self._hold_a_writers_lock,
        )
        while not ended.is_set():
            await self._revive()
            await self._rng.choice(faults)()
            await asyncio.sleep(self._rng.uniform(0.5, 3.0))
            for machine in self._land.machines:
                machine.libsql.seen.clear()
        await self._revive()

    # ---- machines ----------------------------------------------------------------------------------------------------

    async def _revive(self) -> None:
        def start(number: int) -> Server:
            return self._land.machines[number].started()

        self._all_lived = await revive(self._servers, self._history, start, self._all_lived)

    async def _stand_still(self) -> None:
        await stand_still(self._servers, self._history, self._rng)

    async def _kill(self) -> None:
        number = self._rng.randrange(len(self._servers))
        with self._history.breaking("kill", server=number):
            await asyncio.to_thread(self._servers[number].kill)
            orphans = asyncio.create_task(self._leave_orphans())
            await asyncio.sleep(self._rng.uniform(0.0, 1.0))
            await self._begin_anew(number)
            await orphans

    async def _leave_orphans(self) -> None:
        """A libSQL server keeps the lock of who went away for five seconds, which is as long as a writer waits."""
        with self._history.breaking("orphans", engine="libsql"):
            await asyncio.sleep(ORPHAN_SECONDS)

    async def _begin_anew(self, number: int) -> None:
        """Half of the new lives are to end by themselves, at some step."""
        machine = self._land.machines[number]
        self._servers[number] = machine.started(
            self._rng.choice(FAILPOINTS) if self._rng.random() < 0.5 else ""
        )
        try:
            await self._servers[number].ready()
        except AssertionError:  # it died on its way, as it was told to
            await asyncio.to_thread(self._servers[number].kill)
            self._servers[number] = machine.started()
            await self._servers[number].ready()

    # ---- the lines of one machine ------------------------------------------------------------------------------------

    async def _spoil_answers(self) -> None:
        """Every third, or every one."""
        number, machine = self._one()
        fault, every = self._rng.choice(ANSWERS), self._rng.choice((1, 3))
        with self._history.breaking(f"libsql {fault.kind.name}", server=number, engine="libsql"):
            machine.libsql.inject(fault, times=None, every=every)
            await asyncio.sleep(self._rng.uniform(0.5, 4.0))
            machine.libsql.heal()

    async def _flap(self) -> None:
        number, machine = self._one()
        with self._history.breaking("libsql flaps", server=number, engine="libsql"):
            for _ in range(self._rng.randrange(1, 4)):
                machine.libsql.down()
                await asyncio.sleep(FLAPPING_SECONDS)
                machine.libsql.up()
                await asyncio.sleep(FLAPPING_SECONDS)

    async def _lose_postgresql(self) -> None:
        number, machine = self._one()
        with self._history.breaking("postgresql away", server=number, engine="postgresql"):
            await self._lost(machine.postgresql)

    async def _lose_the_registry(self) -> None:
        number, machine = self._one()
        with self._history.breaking("registry away", server=number, engine=REGISTRY):
            await self._lost(machine.node.line)

    async def _lost(self, line: TcpProxy) -> None:
        with self._rng.choice((_refused, _silent, _slow, _cut))(line):
            await asyncio.sleep(self._rng.uniform(0.5, 4.0))

    def _one(self) -> tuple[int, Machine]:
        number = self._rng.randrange(len(self._land.machines))
        return number, self._land.machines[number]

    # ---- engines -----------------------------------------------------------------------------------------------------

    async def _restart_libsql(self) -> None:
        with self._history.breaking("libsql restarted", engine="libsql"):
            await asyncio.to_thread(self._land.sqld.kill)
            await asyncio.sleep(self._rng.uniform(0.0, 2.0))
            await asyncio.to_thread(self._land.sqld.start)

    async def _restart_postgresql(self) -> None:
        with self._history.breaking("postgresql restarted", engine="postgresql"):
            await asyncio.to_thread(self._land.tenants_postgres.stop)
            await asyncio.sleep(self._rng.uniform(0.0, 2.0))
            await asyncio.to_thread(self._land.tenants_postgres.start)

    async def _restart_the_registry(self) -> None:
        with self._history.breaking("registry restarted", engine=REGISTRY):
            await asyncio.to_thread(self._land.registry_postgres.stop)
            await asyncio.sleep(self._rng.uniform(0.0, 2.0))
            await asyncio.to_thread(self._land.registry_postgres.start)

    async def _hold_a_writers_lock(self) -> None:
        """Of one tenant on PostgreSQL, as somebody does whose transaction takes long."""
        homes = [
            home for home in self._history.homes if home.engine == "postgresql" and home.until == float("inf")
        ]
        if not homes:
            return
        tenant = self._rng.choice(homes).tenant
        database = await asyncio.to_thread(self._database_of, tenant)
        if database is None:
            return
        with self._history.breaking("locked", tenant=tenant):
            release = asyncio.Event()
            holding = asyncio.create_task(_hold(self._land.tenants_postgres.url(database), release))
            await asyncio.sleep(self._rng.uniform(0.5, 6.0))
            release.set()
            await holding

    def _database_of(self, tenant: str) -> str | None:
        rows = self._land.cluster.registry(
            f"SELECT location FROM tenants WHERE id = '{tenant}' AND backend = 'postgresql'"
        )
        return rows[0][0] if rows else None


async def _hold(url: str, release: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (ONE_WRITER,))
        await release.wait()


@contextmanager
def _refused(line: TcpProxy) -> Iterator[None]:
    line.down()
    yield
    line.up()


@contextmanager
def _silent(line: TcpProxy) -> Iterator[None]:
    """What was not passed on is gone: the connection is of no use afterwards."""
    line.black_hole = True
    yield
    line.black_hole = False
    line.cut()


@contextmanager
def _slow(line: TcpProxy) -> Iterator[None]:
    line.delay = 0.5
    yield
    line.delay = 0.0


@contextmanager
def _cut(line: TcpProxy) -> Iterator[None]:
    line.cut()
    yield
    line.cut()
