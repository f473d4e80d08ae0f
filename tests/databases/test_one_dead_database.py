"""K6, F11: a database that is dead or slow has its own queue, threads and circuit, and takes nothing from others."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from core.database import Database, Databases
from core.database.remote.breaker import CircuitOpen
from core.database.remote.kind import READERS, WRITERS, RemoteKind
from core.database.remote.kinds import remote_kinds
from core.database.remote.lane import QUEUE_LIMIT
from core.errors import DatabaseBusy, DatabaseUnavailable
from tests.databases import units
from tests.databases.engines import Engine, LibsqlEngine, PostgresEngine
from tests.engines.proxy import Fault, Kind, Proxy
from tests.engines.tcp_proxy import TcpProxy

pytestmark = pytest.mark.anyio


class Front:
    """What stands before the database that fails, and how it is made to."""

    def __init__(self, engine: Engine, sick: Engine, proxy: Proxy | TcpProxy) -> None:
        self.engine, self.sick, self.proxy = engine, sick, proxy

    def swallow(self) -> None:
        """Connections are taken, and lead nowhere."""
        if isinstance(self.proxy, Proxy):
            self.proxy.inject(Fault(Kind.BLACK_HOLE), times=None)
        else:
            self.proxy.black_hole = True

    def heal(self) -> None:
        if isinstance(self.proxy, Proxy):
            self.proxy.heal()
        else:
            self.proxy.black_hole = False
            self.proxy.cut()


@pytest.fixture(
    params=[
        pytest.param("libsql", marks=pytest.mark.libsql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def front(request: pytest.FixtureRequest) -> Iterator[Front]:
    proxy: Proxy | TcpProxy
    if request.param == "libsql":
        sqld = request.getfixturevalue("sqld")
        proxy = Proxy(sqld.port)
        yield Front(LibsqlEngine(sqld), LibsqlEngine(sqld, proxy), proxy)
    else:
        postgres = request.getfixturevalue("postgres")
        proxy = TcpProxy(postgres.port)
        yield Front(PostgresEngine(postgres), PostgresEngine(postgres, proxy.port), proxy)
    proxy.close()


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path, write_deadline=1.0, kinds=remote_kinds(20)) as databases:
        yield databases


def threads() -> int:
    return sum(thread.name.startswith("database") for thread in threading.enumerate())


async def refusals(database: Database, count: int) -> list[BaseException]:
    answers = await asyncio.gather(
        *(database.read(units.names) for _ in range(count)), return_exceptions=True
    )
    return [answer for answer in answers if isinstance(answer, BaseException)]


async def test_a_silent_database_holds_its_own_few_threads_and_nothing_of_the_others(
    front: Front, pool: Databases
) -> None:
    before = threads()
    well, sick = pool.open(front.engine.make("well")), pool.open(front.sick.make("sick"))
    await well.write(units.insert, "well")
    await sick.write(units.insert, "sick")
    front.swallow()
    asked = asyncio.create_task(refusals(sick, 200))
    wrote = [asyncio.create_task(sick.write(units.insert, f"x{n}")) for n in range(20)]
    done = 0
    while not asked.done():
        assert await well.read(units.names) == ["well"]
        await well.write(units.count_up, "well")
        done += 1
        assert threads() <= before + 2 * (READERS + WRITERS)
    told = await asked + await asyncio.gather(*wrote, return_exceptions=True)
    assert done > 3, (
        "how often is the machine's affair; who waited for the sick one would have come round once"
    )
    assert len(told) == 220
    assert all(isinstance(each, DatabaseUnavailable) for each in told)
    front.heal()


async def test_the_circuit_opens_and_closes_by_itself_when_the_server_answers_again(
    front: Front, pool: Databases
) -> None:
    sick = pool.open(front.sick.make("sick"))
    await sick.write(units.insert, "before")
    front.proxy.down()
    while True:
        with pytest.raises(DatabaseUnavailable) as caught:
            await sick.read(units.names)
        if isinstance(caught.value, CircuitOpen):
            break
    assert int(caught.value.headers["Retry-After"]) >= 1
    kind = pool.kinds[sick.ref.kind]
    assert isinstance(kind, RemoteKind)
    assert kind.open_circuits == 1
    with pytest.raises(CircuitOpen):
        await sick.write(units.insert, "refused at once")
    for _ in range(2):
        with pytest.raises(CircuitOpen), pool.exclusive(sick.ref):
            pass
    front.proxy.up()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await sick.read(units.names) == ["before"]
                break
            except DatabaseUnavailable:
                await asyncio.sleep(0.1)
    assert await sick.write(units.insert, "after") == "after"
    assert kind.open_circuits == 0
    assert kind.figures.refused_by_circuit
    assert (kind.figures.repeated > 0, kind.figures.waiting) == (True, 0)


async def test_more_units_than_a_queue_takes_are_refused_at_once(front: Front, pool: Databases) -> None:
    busy = pool.open(front.engine.make("busy"))
    held = units.Held()
    running = [asyncio.create_task(busy.read(held)) for _ in range(READERS)]
    await held.has_begun(READERS)
    waiting = [asyncio.create_task(busy.read(units.colour)) for _ in range(QUEUE_LIMIT)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusy):
        await busy.read(units.colour)
    held.let_go()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert "red" in answers
    assert all(answer == "red" or isinstance(answer, DatabaseBusy) for answer in answers)
    await asyncio.gather(*running)


async def test_a_slow_database_trips_its_own_limit(front: Front, pool: Databases) -> None:
    """F11: two seconds for each statement."""

    def slow(_: Connection) -> None:
        time.sleep(2)

    well, sick = pool.open(front.engine.make("well")), pool.open(front.engine.make("sick"))
    asked = [asyncio.create_task(sick.read(slow)) for _ in range(40)]
    await asyncio.sleep(0.05)
    for _ in range(20):
        assert await well.read(units.colour) == "red"
        assert sum(task.done() for task in asked) == 0
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, DatabaseBusy) for each in told) == 40 - READERS
