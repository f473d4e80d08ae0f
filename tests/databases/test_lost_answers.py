"""F19: whatever happens between here and a libSQL server, who is told that it is done is told the truth, once."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from core.database import Database, DatabaseRef, Databases
from core.errors import DatabaseBusy, DatabaseUnavailable, OutcomeUnknown, WrongDatabase
from tests.databases import units
from tests.databases.engines import LibsqlEngine
from tests.engines.proxy import Fault, Kind, Proxy, Request
from tests.engines.sqld import Sqld

pytestmark = [pytest.mark.anyio, pytest.mark.libsql]


class Put:
    """A unit that counts how often it was run."""

    def __init__(self, *then: Callable[[], object]) -> None:
        self.runs = 0
        self._then = list(then)

    def __call__(self, conn: Connection, name: str) -> str:
        self.runs += 1
        units.insert(conn, name)
        if self._then:
            self._then.pop(0)()
        return name


def commits(request: Request) -> bool:
    return request.has('"COMMIT"')


def writes(request: Request) -> bool:
    return request.has("INSERT INTO item")


@pytest.fixture(scope="module")
def sqld(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqld]:
    """One of its own, and no farewell: it would wait for the streams that were cut."""
    server = Sqld(tmp_path_factory.mktemp("cut-off")).start()
    yield server
    server.kill()


@pytest.fixture
def proxy(sqld: Sqld) -> Iterator[Proxy]:
    proxy = Proxy(sqld.port)
    yield proxy
    proxy.close()


@pytest.fixture
def engine(sqld: Sqld, proxy: Proxy) -> LibsqlEngine:
    """A lock that nobody gives back is taken away after a second instead of five."""
    return LibsqlEngine(sqld, proxy, txn_timeout_s=1)


@pytest.fixture
def ref(engine: LibsqlEngine) -> DatabaseRef:
    return engine.make()


@pytest.fixture
async def pool(engine: LibsqlEngine, tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path, write_deadline=8.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
def database(pool: Databases, ref: DatabaseRef) -> Database:
    return pool.open(ref)


CARRIED_OUT = [Kind.CUT_AFTER_ANSWER, Kind.TRUNCATED, Kind.GARBLED]


@pytest.mark.parametrize("kind", CARRIED_OUT, ids=lambda kind: kind.name)
async def test_a_commit_whose_answer_is_lost_is_found_and_not_done_twice(
    engine: LibsqlEngine, proxy: Proxy, database: Database, kind: Kind
) -> None:
    proxy.inject(Fault(kind), when=commits)
    put = Put()
    assert await database.write(put, "kept") == "kept"
    assert (put.runs, engine.names_in(database.ref)) == (1, ["kept"])


NOT_CARRIED_OUT = [Fault(Kind.CUT_BEFORE), Fault(Kind.REFUSED, status=503), Fault(Kind.REFUSED, status=502)]


@pytest.mark.parametrize("fault", NOT_CARRIED_OUT, ids=lambda fault: f"{fault.kind.name}{fault.status}")
async def test_a_commit_that_never_arrived_is_not_found_and_its_unit_run_again(
    engine: LibsqlEngine, proxy: Proxy, database: Database, fault: Fault
) -> None:
    proxy.inject(fault, when=commits)
    put = Put()
    assert await database.write(put, "kept") == "kept"
    assert (put.runs, engine.names_in(database.ref)) == (2, ["kept"])


async def test_a_commit_that_may_have_arrived_is_done_once(
    engine: LibsqlEngine, proxy: Proxy, database: Database
) -> None:
    for number in range(8):
        proxy.inject(Fault(Kind.CUT_AFTER_SENDING, seconds=number / 2000), when=commits)
        await database.write(units.insert, f"n{number}")
    assert engine.names_in(database.ref) == [f"n{number}" for number in range(8)]


@pytest.mark.parametrize(
    "fault",
    [Fault(kind) for kind in (Kind.CUT_BEFORE, Kind.CUT_AFTER_SENDING, *CARRIED_OUT)]
    + [Fault(Kind.REFUSED, status=status) for status in (429, 502, 503)],
    ids=lambda fault: f"{fault.kind.name}{fault.status}",
)
async def test_a_transaction_that_is_lost_before_its_commit_is_run_again_whole(
    engine: LibsqlEngine, proxy: Proxy, database: Database, fault: Fault
) -> None:
    proxy.inject(fault, when=writes)
    assert await database.write(units.insert, "kept") == "kept"
    proxy.inject(fault, when=lambda request: request.has("SELECT name FROM item"))
    assert await database.read(units.names) == ["kept"]
    assert engine.names_in(database.ref) == ["kept"]


async def test_a_commit_that_nobody_can_be_asked_about_is_an_unknown_outcome(
    engine: LibsqlEngine, proxy: Proxy, database: Database
) -> None:
    proxy.inject(Fault(Kind.CUT_AFTER_ANSWER), when=commits)
    proxy.inject(Fault(Kind.REFUSED, status=503), times=None, when=lambda request: not writes(request))
    put = Put()
    with pytest.raises(OutcomeUnknown):
        await database.write(put, "kept")
    assert (put.runs, engine.names_in(database.ref)) == (1, ["kept"])


async def test_a_database_of_an_older_schema_keeps_no_marks_and_a_lost_commit_is_never_repeated(
    engine: LibsqlEngine, proxy: Proxy, pool: Databases, database: Database
) -> None:
    engine.run(database.ref, "DROP TABLE transaction_marks")
    assert await database.write(units.insert, "one") == "one"
    proxy.inject(Fault(Kind.CUT_BEFORE), when=commits)
    put = Put()
    with pytest.raises(OutcomeUnknown):
        await database.write(put, "lost")
    proxy.inject(Fault(Kind.CUT_AFTER_ANSWER), when=commits)
    with pytest.raises(OutcomeUnknown):
        await database.write(put, "kept")
    assert (put.runs, engine.names_in(database.ref)) == (2, ["one", "kept"])
    with pool.exclusive(database.ref) as conn:
        conn.exec_driver_sql(
            "CREATE TABLE transaction_marks (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL)"
        )
    proxy.inject(Fault(Kind.CUT_AFTER_ANSWER), when=commits)
    assert await database.write(put, "migrated") == "migrated"


@pytest.mark.parametrize(
    ("kind", "kept"), [(Kind.CUT_AFTER_ANSWER, ["x"]), (Kind.CUT_BEFORE, [])], ids=lambda value: str(value)
)
async def test_a_threads_lost_commit_is_looked_up_too(
    engine: LibsqlEngine, proxy: Proxy, pool: Databases, ref: DatabaseRef, kind: Kind, kept: list[str]
) -> None:
    """What a thread did cannot be run again from here: it is told that nothing was kept."""

    def work() -> None:
        with pool.exclusive(ref) as conn:
            units.insert(conn, "x")
            proxy.inject(Fault(kind), when=commits)

    if kept:
        await asyncio.to_thread(work)
    else:
        with pytest.raises(DatabaseUnavailable):
            await asyncio.to_thread(work)
    assert engine.names_in(ref) == kept


@pytest.mark.parametrize("kind", [Kind.CUT_BEFORE, Kind.CUT_AFTER_ANSWER], ids=lambda kind: kind.name)
async def test_every_second_request_may_fail(
    engine: LibsqlEngine, proxy: Proxy, database: Database, kind: Kind
) -> None:
    proxy.inject(Fault(kind), times=None, every=2)
    told = await asyncio.gather(
        *(database.write(units.insert, f"n{number}") for number in range(2)), return_exceptions=True
    )
    proxy.heal()
    there = engine.names_in(database.ref)
    assert set(there) >= {name for name in told if isinstance(name, str)}
    assert len(there) <= 2
    assert all(isinstance(each, str | DatabaseUnavailable) for each in told)


async def test_a_server_that_flaps_loses_nothing_that_was_answered(
    engine: LibsqlEngine, proxy: Proxy, database: Database
) -> None:
    stop = threading.Event()

    def flap() -> None:
        while not stop.wait(0.25):
            proxy.down()
            stop.wait(0.25)
            proxy.up()

    flapping = threading.Thread(target=flap)
    flapping.start()
    told, unknown, refused = set(), set(), set()
    until, number = time.monotonic() + 4, 0
    while time.monotonic() < until:
        name, number = f"n{number}", number + 1
        try:
            told.add(await database.write(units.insert, name))
        except OutcomeUnknown:
            unknown.add(name)
        except DatabaseUnavailable:
            refused.add(name)
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.to_thread(flapping.join)
    there = engine.names_in(database.ref)
    assert told
    assert len(there) == len(set(there))
    assert told <= set(there) <= told | unknown


async def test_a_transaction_that_another_writer_took_away_is_run_again(
    engine: LibsqlEngine, pool: Databases, tmp_path: Path
) -> None:
    """A libSQL server ends a transaction that lasts when another wants to write, and then commits statement by
    statement what its owner goes on to say."""
    ref = engine.make()
    begun = threading.Event()

    def sleeps() -> None:
        begun.set()
        time.sleep(2)

    put = Put(sleeps)
    async with Databases(tmp_path, write_deadline=10.0, kinds=engine.kinds()) as other_node:
        robbed = asyncio.create_task(other_node.open(ref).write(put, "robbed"))
        await asyncio.to_thread(begun.wait, 5)
        assert await pool.open(ref).write(units.insert, "thief") == "thief"
        assert await robbed == "robbed"
    assert (put.runs, engine.names_in(ref)) == (2, ["thief", "robbed"])


async def test_a_database_that_takes_no_more_writes_sends_its_caller_back_to_the_pointer(
    engine: LibsqlEngine, sqld: Sqld, pool: Databases, database: Database
) -> None:
    await database.write(units.insert, "before")
    sqld.configure(database.ref.server.name, block_writes=True, block_reason="moved")
    with pytest.raises(WrongDatabase):
        await database.write(units.insert, "after")
    with pytest.raises(WrongDatabase), pool.exclusive(database.ref) as conn:
        units.insert(conn, "after")
    assert await database.read(units.names) == ["before"]
    sqld.configure(database.ref.server.name, block_writes=False)
    assert await database.write(units.insert, "after") == "after"


async def test_a_server_that_is_slow_to_death_costs_its_callers_their_deadline_and_no_more(
    engine: LibsqlEngine, proxy: Proxy, tmp_path: Path, ref: DatabaseRef
) -> None:
    async with Databases(tmp_path, write_deadline=0.5, kinds=engine.kinds()) as pool:
        database = pool.open(ref)
        proxy.inject(Fault(Kind.ANSWERED_LATE, seconds=30), times=None)
        async with asyncio.timeout(60):
            answers = await asyncio.gather(
                *(database.read(units.names) for _ in range(40)), return_exceptions=True
            )
        assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
        assert any(isinstance(answer, DatabaseBusy) for answer in answers) or len(proxy.seen) < 40
        proxy.heal()


async def test_a_token_that_is_not_for_this_database_opens_nothing(
    engine: LibsqlEngine, sqld: Sqld, pool: Databases
) -> None:
    mine, theirs = engine.make("acme"), engine.make("globex")
    swapped = replace(mine, remote=replace(mine.server, secret=theirs.server.secret))
    database = pool.open(swapped)
    for method in (database.read, database.write):
        with pytest.raises(DatabaseUnavailable):
            await method(units.names)
