"""What is PostgreSQL's alone: answers that are lost, a server that dies, a node that sleeps, what it cannot hold."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core.database import Database, DatabaseRef, Databases, UnitBroken
from core.database.remote import postgresql
from core.database.remote.breaker import CircuitOpen
from core.errors import DatabaseMissing, DatabaseUnavailable, InvalidInput
from tests.databases import units
from tests.databases.engines import PostgresEngine
from tests.databases.test_lost_answers import Put
from tests.engines.postgres import Postgres
from tests.engines.proxy import Kind
from tests.engines.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql, pytest.mark.slow]


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[TcpProxy]:
    proxy = TcpProxy(postgres.port)
    yield proxy
    proxy.close()


@pytest.fixture
def engine(postgres: Postgres, proxy: TcpProxy) -> PostgresEngine:
    return PostgresEngine(postgres, proxy.port)


@pytest.fixture
def ref(engine: PostgresEngine) -> DatabaseRef:
    return engine.make()


@pytest.fixture
async def pool(engine: PostgresEngine, tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path, write_deadline=3.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
async def other_node(engine: PostgresEngine, tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path / "other", write_deadline=8.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
def database(pool: Databases, ref: DatabaseRef) -> Database:
    return pool.open(ref)


async def test_a_commit_whose_answer_is_lost_is_found_and_not_done_twice(
    engine: PostgresEngine, proxy: TcpProxy, database: Database
) -> None:
    proxy.inject(Kind.CUT_AFTER_ANSWER, when=b"; COMMIT")
    put = Put()
    assert await database.write(put, "kept") == "kept"
    assert (put.runs, engine.names_in(database.ref)) == (1, ["kept"])


async def test_a_commit_that_never_arrived_is_not_found_and_its_unit_run_again(
    engine: PostgresEngine, proxy: TcpProxy, database: Database
) -> None:
    proxy.inject(Kind.CUT_BEFORE, when=b"; COMMIT")
    put = Put()
    assert await database.write(put, "kept") == "kept"
    assert (put.runs, engine.names_in(database.ref)) == (2, ["kept"])


async def test_a_commit_that_may_have_arrived_is_done_once(
    engine: PostgresEngine, proxy: TcpProxy, database: Database
) -> None:
    for number in range(8):
        proxy.inject(Kind.CUT_AFTER_SENDING, when=b"; COMMIT")
        await database.write(units.insert, f"n{number}")
    assert engine.names_in(database.ref) == [f"n{number}" for number in range(8)]


async def test_a_transaction_that_is_cut_before_its_commit_is_run_again(
    engine: PostgresEngine, proxy: TcpProxy, database: Database
) -> None:
    for kind in (Kind.CUT_BEFORE, Kind.CUT_AFTER_SENDING, Kind.CUT_AFTER_ANSWER):
        proxy.inject(kind, when=b"INSERT INTO item")
        await database.write(units.insert, kind.name)
        proxy.inject(kind, when=b"SELECT name FROM item")
        assert kind.name in await database.read(units.names)
    assert len(engine.names_in(database.ref)) == 3


@pytest.mark.faults
async def test_of_a_server_that_is_killed_nothing_acknowledged_is_lost_and_nothing_done_twice(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    engine = PostgresEngine(own_postgres)
    ref, told = engine.make(), list[str]()

    async def write(database: Database, writer: int) -> None:
        for number in range(40):
            try:
                told.append(await database.write(units.insert, f"{writer}-{number}"))
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)

    async with Databases(tmp_path, write_deadline=8.0, kinds=engine.kinds()) as pool:
        writers = [asyncio.create_task(write(pool.open(ref), writer)) for writer in range(4)]
        while len(told) < 10:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.to_thread(own_postgres.start)
        await asyncio.gather(*writers)
    kept = engine.names_in(ref)
    assert len(kept) == len(set(kept))
    assert set(told) <= set(kept)
    assert len(told) > 10


@pytest.mark.faults
async def test_after_a_restart_of_the_server_the_first_unit_works(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    engine = PostgresEngine(own_postgres)
    async with Databases(tmp_path, write_deadline=8.0, kinds=engine.kinds()) as pool:
        database, all_here = pool.open(engine.make()), threading.Barrier(4)

        def meets(_: Connection) -> None:
            all_here.wait(5)

        await database.write(units.insert, "before")
        await asyncio.gather(*(database.read(meets) for _ in range(4)))
        await asyncio.to_thread(own_postgres.restart)
        assert await database.read(units.names) == ["before"]
        put = Put()
        assert await database.write(put, "after") == "after"
        assert put.runs == 1


@pytest.mark.faults
async def test_a_node_that_sleeps_in_a_transaction_stops_nobody_for_long(
    engine: PostgresEngine,
    pool: Databases,
    other_node: Databases,
    ref: DatabaseRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        postgresql, "FORGOTTEN_MS", 0
    )  # the server then waits as long as the transaction may take
    asleep, wakes = threading.Event(), threading.Event()

    def sleeps(connection: Connection) -> str:
        units.insert(connection, "slept")
        asleep.set()
        wakes.wait(20)
        return units.insert(connection, "slept on")

    sleeper = asyncio.create_task(pool.open(ref).write(sleeps))
    await asyncio.to_thread(asleep.wait, 5)
    assert await other_node.open(ref).write(units.insert, "awake") == "awake"
    wakes.set()
    with pytest.raises(DatabaseUnavailable):
        await sleeper
    assert engine.names_in(ref) == ["awake"]


@pytest.mark.faults
async def test_a_server_that_says_nothing_is_given_up_within_the_deadline(
    proxy: TcpProxy, database: Database
) -> None:
    await database.write(units.insert, "before")
    proxy.black_hole = True
    for unit in (database.read(units.names), database.write(units.insert, "lost")):
        async with asyncio.timeout(60):
            with pytest.raises(DatabaseUnavailable):
                await unit
    proxy.black_hole = False


async def test_a_database_that_is_not_there_is_missing_and_a_wrong_password_opens_none(
    pool: Databases, ref: DatabaseRef
) -> None:
    gone = replace(ref, owner="gone", remote=replace(ref.server, name="nowhere"))
    with pytest.raises(DatabaseMissing):
        await pool.open(gone).read(units.names)
    stranger = replace(ref, remote=replace(ref.server, secret="wrong"))
    for _ in range(8):  # told each time, and no reason to stop asking
        with pytest.raises(DatabaseUnavailable) as told:
            await pool.open(stranger).read(units.names)
        assert not isinstance(told.value, CircuitOpen)


async def test_what_it_cannot_hold_is_the_callers_mistake(engine: PostgresEngine, database: Database) -> None:
    with pytest.raises(InvalidInput):
        await database.write(units.insert, "a\0b")
    assert await database.write(units.insert, "a") == "a"
    assert engine.names_in(database.ref) == ["a"]


async def test_a_unit_that_goes_on_after_an_error_without_a_savepoint_is_undone(
    engine: PostgresEngine, database: Database
) -> None:
    def goes_on(connection: Connection) -> None:
        units.insert(connection, "one")
        with pytest.raises(IntegrityError):
            units.insert(connection, "one")
        units.insert(connection, "two")

    with pytest.raises(UnitBroken):
        await database.write(goes_on)
    assert engine.names_in(database.ref) == []


async def test_a_server_without_a_place_left_serves_all_in_turn(postgres: Postgres, tmp_path: Path) -> None:
    engine = PostgresEngine(postgres)
    many = [engine.make(f"owner{number}") for number in range(8)]
    with ExitStack() as others:
        for one in _all_places(postgres, others)[:6]:
            one.close()
        async with Databases(tmp_path, write_deadline=3.0, kinds=engine.kinds()) as pool:
            for turn in range(2):
                for ref in many:
                    await pool.open(ref).write(units.insert, f"item {turn}")
            assert pool.open_count <= 6
            answers = [pool.open(ref).read(units.names) for ref in many]
            assert await asyncio.gather(*answers) == [["item 0", "item 1"]] * len(many)


def _all_places(postgres: Postgres, held: ExitStack) -> list["psycopg.Connection[Any]"]:
    taken: list[psycopg.Connection[Any]] = []
    while True:
        try:
            taken.append(held.enter_context(psycopg.connect(postgres.url())))
        except psycopg.OperationalError:  # too many
            return taken
