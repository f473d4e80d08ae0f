"""What a unit of work may rely on, whatever kind of database it runs on: one suite for all of them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from core.database import Database, DatabaseRef, Databases, UnitBroken
from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseMissing,
    DatabaseUnavailable,
    ManagedByControlPlane,
    ManagedByTenant,
    WrongDatabase,
)
from tests.databases import units
from tests.databases.engines import Engine, FileEngine, LibsqlEngine, PostgresEngine
from tests.engines.cloud import CloudTraits
from tests.engines.proxy import Proxy

pytestmark = pytest.mark.anyio

KINDS = [
    "sqlite",
    pytest.param("libsql", marks=pytest.mark.libsql),
    pytest.param("managed libsql", marks=pytest.mark.libsql),
    pytest.param("libsql by libsql-client", marks=pytest.mark.libsql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    match request.param:
        case "sqlite":
            yield FileEngine(tmp_path)
        case "libsql":
            yield LibsqlEngine(request.getfixturevalue("sqld"))
        case "libsql by libsql-client":
            yield LibsqlEngine(request.getfixturevalue("sqld"), transport="libsql-client")
        case "managed libsql":
            sqld = request.getfixturevalue("sqld")
            front = Proxy(sqld.port, CloudTraits())
            yield LibsqlEngine(sqld, front)
            front.close()
        case "postgresql":
            yield PostgresEngine(request.getfixturevalue("postgres"))


@pytest.fixture
async def pool(engine: Engine, tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path, write_deadline=2.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
async def other_node(engine: Engine, tmp_path: Path) -> AsyncIterator[Databases]:
    """Shares nothing with the first but the databases (and the memory of one data folder, if they are files)."""
    async with Databases(tmp_path, write_deadline=2.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
def ref(engine: Engine) -> DatabaseRef:
    return engine.make()


@pytest.fixture
def database(pool: Databases, ref: DatabaseRef) -> Database:
    return pool.open(ref)


# --- keep and undo -----------------------------------------------------------------------------------------------


async def test_what_was_written_is_there_for_everybody(
    engine: Engine, database: Database, other_node: Databases
) -> None:
    assert await database.write(units.insert, "one") == "one"
    assert await database.alone(units.insert, "two") == "two"
    assert await database.read(units.names) == ["one", "two"]
    assert await other_node.open(database.ref).read(units.names) == ["one", "two"]
    assert engine.names_in(database.ref) == ["one", "two"]


async def test_what_is_raised_undoes_and_what_is_returned_keeps(engine: Engine, database: Database) -> None:
    def raises(conn: Connection) -> None:
        units.insert(conn, "undone")
        raise LookupError

    def returns(conn: Connection) -> LookupError:
        units.insert(conn, "kept")
        return LookupError()

    for method in (database.write, database.alone):
        with pytest.raises(LookupError):
            await method(raises)
    assert isinstance(await database.write(returns), LookupError)
    assert engine.names_in(database.ref) == ["kept"]


async def test_a_unit_that_does_nothing_is_no_fault(database: Database) -> None:
    def nothing(_: Connection) -> int:
        return 7

    assert [await each(nothing) for each in (database.read, database.write, database.alone)] == [7, 7, 7]


async def test_a_rule_of_the_schema_is_an_integrity_error_without_its_values(
    engine: Engine, database: Database
) -> None:
    await database.write(units.insert, "canary@example.com")
    with pytest.raises(IntegrityError) as caught:
        await database.write(units.insert, "canary@example.com")
    assert "[parameters" not in str(caught.value)
    assert engine.names_in(database.ref) == ["canary@example.com"]


@pytest.mark.parametrize("value", ["tenant_moved", "managed_by_tenant", "managed_by_control_plane:role"])
async def test_a_value_that_reads_like_a_refusal_is_not_taken_for_one(database: Database, value: str) -> None:
    await database.write(units.insert, value)
    with pytest.raises(IntegrityError):
        await database.write(units.insert, value)


async def test_a_rule_that_is_checked_at_the_end_undoes_the_unit(engine: Engine, database: Database) -> None:
    def breaks_a_deferred_key(conn: Connection) -> None:
        units.insert(conn, "undone")
        conn.exec_driver_sql("INSERT INTO child (parent) VALUES (4711)")

    with pytest.raises(IntegrityError):
        await database.write(breaks_a_deferred_key)
    assert engine.names_in(database.ref) == []


async def test_a_savepoint_of_its_own_is_allowed_in_a_unit(engine: Engine, database: Database) -> None:
    def careful(conn: Connection) -> str:
        units.insert(conn, "first")
        try:
            with conn.begin_nested():
                units.insert(conn, "second")
                units.insert(conn, "second")
        except IntegrityError:
            units.insert(conn, "third")
            return "without the second"
        return "with both"

    assert await database.write(careful) == "without the second"
    assert engine.names_in(database.ref) == ["first", "third"]


async def test_values_come_back_as_they_went(database: Database) -> None:
    everything = bytes(range(256))

    def put(conn: Connection) -> None:
        for name, n in (("ü\u2028\U0001f511'\"", 2**63 - 1), ("", -(2**63)), ("2^53+1", 2**53 + 1)):
            conn.exec_driver_sql("INSERT INTO item (name, n, blob) VALUES (?, ?, ?)", (name, n, everything))

    def get(conn: Connection) -> list[Any]:
        return list(conn.exec_driver_sql("SELECT name, n, blob FROM item ORDER BY id"))

    await database.write(put)
    assert [(*tuple(row[:2]), bytes(row[2])) for row in await database.read(get)] == [
        ("ü\u2028\U0001f511'\"", 2**63 - 1, everything),
        ("", -(2**63), everything),
        ("2^53+1", 2**53 + 1, everything),
    ]


# --- what no unit may do -----------------------------------------------------------------------------------------


def says_begin(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("BEGIN")


def says_commit(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("COMMIT")


def says_end_in_disguise(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql(" /* SELECT */ end")


def says_rollback(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.exec_driver_sql("ROLLBACK")


def commits_through_sqlalchemy(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.commit()


def rolls_back_through_sqlalchemy(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.rollback()


def leaves_a_savepoint_open(conn: Connection) -> None:
    conn.begin_nested()
    units.insert(conn, "bad")


def closes_its_connection(conn: Connection) -> None:
    units.insert(conn, "bad")
    conn.close()


def exits(conn: Connection) -> None:
    units.insert(conn, "bad")
    raise SystemExit(3)


def stops_iteration(conn: Connection) -> None:
    units.insert(conn, "bad")
    raise StopIteration


ENDS_ITS_TRANSACTION = [
    says_begin,
    says_commit,
    says_end_in_disguise,
    says_rollback,
    commits_through_sqlalchemy,
    rolls_back_through_sqlalchemy,
    leaves_a_savepoint_open,
    closes_its_connection,
]


@pytest.mark.parametrize("bad", ENDS_ITS_TRANSACTION, ids=lambda unit: unit.__name__)
async def test_a_unit_that_ends_its_transaction_fails_and_leaves_nothing(
    engine: Engine, pool: Databases, database: Database, bad: Callable[[Connection], None]
) -> None:
    for method in (database.write, database.alone):
        with pytest.raises((UnitBroken, DatabaseError)):
            await method(bad)
    with pytest.raises((UnitBroken, DatabaseError)), pool.exclusive(database.ref) as conn:
        bad(conn)
    assert await database.write(units.insert, "next") == "next"
    assert engine.names_in(database.ref) == ["next"]


@pytest.mark.parametrize("bad", [exits, stops_iteration], ids=lambda unit: unit.__name__)
async def test_whatever_a_unit_raises_an_event_loop_can_carry_it(
    engine: Engine, database: Database, bad: Callable[[Connection], None]
) -> None:
    for method in (database.read, database.write, database.alone):
        with pytest.raises((UnitBroken, DatabaseError)):
            await method(bad)
    assert await database.write(units.insert, "next") == "next"
    assert engine.names_in(database.ref) == ["next"]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO item (name) VALUES ('x')",
        "WITH n AS (SELECT 'x') INSERT INTO item (name) SELECT * FROM n",
    ],
)
async def test_a_reading_unit_cannot_write(
    engine: Engine, pool: Databases, database: Database, statement: str
) -> None:
    def writes(conn: Connection) -> None:
        conn.exec_driver_sql(statement)

    with pytest.raises(DatabaseError):
        await database.read(writes)
    with pytest.raises((DatabaseError, DatabaseUnavailable)), pool.read_only(database.ref) as conn:
        writes(conn)
    assert await database.read(units.names) == []
    assert engine.names_in(database.ref) == []


async def test_what_is_protected_is_written_by_converge_alone(pool: Databases, database: Database) -> None:
    def delete_setting(conn: Connection) -> None:
        conn.exec_driver_sql("DELETE FROM setting")

    def delete_items(conn: Connection) -> None:
        conn.exec_driver_sql("DELETE FROM item")

    for method in (database.write, database.alone):
        with pytest.raises(ManagedByControlPlane) as caught:
            await method(delete_setting)
        assert caught.value.kind == "setting"
    with pytest.raises(ManagedByControlPlane), pool.exclusive(database.ref) as conn:
        delete_setting(conn)
    await database.alone(delete_setting, converge=True)
    await database.write(units.insert, "tenant")
    with pytest.raises(ManagedByTenant):
        await database.write(delete_items)
    await database.alone(units.set_colour, "blue", converge=True)

    def add_and_delete(conn: Connection) -> None:
        conn.exec_driver_sql("INSERT INTO setting VALUES ('a', 'b')")
        delete_setting(conn)

    with pytest.raises(ManagedByControlPlane):
        await database.write(add_and_delete)
    with pool.exclusive(database.ref, converge=True) as conn:
        add_and_delete(conn)


# --- whose it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"owner": "globex"}, {"incarnation": "second"}])
async def test_a_database_of_another_tenant_or_another_life_is_refused_to_everybody(
    engine: Engine, pool: Databases, wrong: dict[str, str]
) -> None:
    """F21: namespaces, databases or credentials that were swapped in the registry."""
    there = engine.make(**wrong)
    pointer = replace(there, owner="acme", incarnation="first")
    database = pool.open(pointer)
    for method in (database.read, database.write, database.alone, database.snapshot):
        with pytest.raises(WrongDatabase):
            await method(units.names)
    with pytest.raises(WrongDatabase):
        await database.write(units.insert, "x")
    with pytest.raises(WrongDatabase), pool.exclusive(pointer) as conn:
        units.insert(conn, "x")
    with pytest.raises(WrongDatabase), pool.read_only(pointer):
        pass
    assert engine.names_in(there) == []


async def test_an_empty_database_is_corrupt_and_stays_empty(engine: Engine, pool: Databases) -> None:
    ref = engine.make()
    engine.run(ref, "DROP TABLE tenant")
    for method in (pool.open(ref).read, pool.open(ref).write):
        with pytest.raises(DatabaseCorrupt):
            await method(units.names)
    with pytest.raises(DatabaseCorrupt), pool.exclusive(ref):
        pass


async def test_a_database_that_is_not_there_is_missing(
    engine: Engine, pool: Databases, ref: DatabaseRef
) -> None:
    nowhere = (
        replace(ref, remote=replace(ref.remote, name="nowhere"))
        if ref.remote
        else replace(ref, path=ref.file.with_name("nowhere.db"))
    )
    # A WebSocket is refused without a reason.
    by_websocket = isinstance(engine, LibsqlEngine) and engine.transport == "libsql-client"
    expected = DatabaseUnavailable if by_websocket else DatabaseMissing
    for method in (pool.open(nowhere).read, pool.open(nowhere).write):
        with pytest.raises(expected) as caught:
            await method(units.names)
        assert caught.value.status == 503
        assert int(caught.value.headers["Retry-After"]) >= 1
    with pytest.raises(expected), pool.exclusive(nowhere):
        pass


# --- several at once ---------------------------------------------------------------------------------------------


async def test_no_update_is_lost_between_nodes_that_write_at_once(
    engine: Engine, database: Database, other_node: Databases
) -> None:
    await database.write(units.insert, "counter")
    elsewhere = other_node.open(database.ref)
    await asyncio.gather(*(each.write(units.count_up, "counter") for each in [database, elsewhere] * 10))
    assert await database.read(units.value_of, "counter") == 20


async def test_a_reading_unit_sees_one_moment(database: Database, other_node: Databases) -> None:
    begun, written = threading.Event(), threading.Event()

    def twice(conn: Connection) -> list[list[str]]:
        first = units.names(conn)
        begun.set()
        written.wait(5)
        return [first, units.names(conn)]

    await database.write(units.insert, "before")
    reading = asyncio.create_task(database.read(twice))
    await asyncio.to_thread(begun.wait, 5)
    await other_node.open(database.ref).write(units.insert, "meanwhile")
    written.set()
    assert await reading == [["before"], ["before"]]
    assert await database.read(units.names) == ["before", "meanwhile"]


async def test_a_unit_whose_turn_does_not_come_is_withdrawn(engine: Engine, database: Database) -> None:
    event = threading.Event()
    holds = asyncio.create_task(database.write(units.wait_for, event))
    await asyncio.sleep(0.05)
    with pytest.raises(DatabaseBusy):
        await database.write(units.insert, "never")
    event.set()
    with suppress(Exception):
        await holds
    assert await database.write(units.insert, "next") == "next"
    assert engine.names_in(database.ref) == ["next"]


async def test_the_request_that_is_cancelled_still_has_its_unit_committed(
    engine: Engine, database: Database
) -> None:
    event = threading.Event()
    holds = asyncio.create_task(database.write(units.wait_for, event))
    await asyncio.sleep(0.02)
    requests = [asyncio.create_task(database.write(units.insert, name)) for name in ("one", "two")]
    await asyncio.sleep(0.02)
    requests[0].cancel()
    event.set()
    await holds
    with pytest.raises(asyncio.CancelledError):
        await requests[0]
    await requests[1]
    assert engine.names_in(database.ref) == ["one", "two"]


async def test_forgetting_finishes_what_runs_and_ends_the_handle(
    engine: Engine, pool: Databases, database: Database
) -> None:
    event = threading.Event()
    running = asyncio.create_task(database.write(units.wait_for, event))
    queued = asyncio.create_task(database.write(units.insert, "kept"))
    await asyncio.sleep(0.05)
    forgetting = asyncio.create_task(pool.forget(database.ref))
    await asyncio.sleep(0.05)
    with pytest.raises(WrongDatabase):
        await database.read(units.names)
    assert not forgetting.done()
    event.set()
    await asyncio.gather(running, queued, forgetting)
    assert engine.names_in(database.ref) == ["kept"]


# --- from memory -------------------------------------------------------------------------------------------------


class Built:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self, conn: Connection, *_: object) -> str:
        self.times += 1
        return units.colour(conn)


async def test_a_snapshot_is_built_once_and_again_after_a_change_of_this_node(
    pool: Databases, database: Database
) -> None:
    build = Built()
    assert [await database.snapshot(build) for _ in range(20)] == ["red"] * 20
    await database.write(units.insert, "data, not configuration")
    assert (await database.snapshot(build), build.times) == ("red", 1)
    await database.write(units.set_colour, "blue")
    assert await database.snapshot(build) == "blue"
    with pool.exclusive(database.ref) as conn:
        units.set_colour(conn, "green")
    assert await database.snapshot(build) == "green"
    assert build.times == 3


async def test_a_change_of_another_node_is_seen_with_the_next_unit_and_within_a_second_without_one(
    database: Database, other_node: Databases
) -> None:
    build, elsewhere = Built(), other_node.open(database.ref)
    assert await database.snapshot(build) == "red"
    await elsewhere.write(units.set_colour, "blue")
    await database.read(units.names)
    assert await database.snapshot(build) == "blue"
    await elsewhere.write(units.set_colour, "green")
    await asyncio.sleep(1.05)
    assert await database.snapshot(build) == "green"


# --- for threads -------------------------------------------------------------------------------------------------


async def test_a_thread_has_transactions_of_its_own(
    engine: Engine, pool: Databases, ref: DatabaseRef
) -> None:
    def work() -> list[str]:
        with pool.exclusive(ref) as conn:
            units.insert(conn, "one")
        with suppress(LookupError), pool.exclusive(ref) as conn:
            units.insert(conn, "undone")
            raise LookupError
        with pytest.raises(IntegrityError), pool.exclusive(ref) as conn:
            units.insert(conn, "one")
        with pool.read_only(ref) as conn:
            return units.names(conn)

    assert await asyncio.to_thread(work) == ["one"]
    assert engine.names_in(ref) == ["one"]
