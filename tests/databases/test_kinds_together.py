"""Whose a database is, and who uses it at the same time, whatever kind it is."""

import asyncio
import gc
import os
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from core.database import Database, DatabaseRef, Databases, Prepared, PreparedPage
from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseMissing,
    DatabaseUnavailable,
    WrongDatabase,
)
from tests.databases import units
from tests.databases.engines import Engine, LibsqlEngine
from tests.databases.on_every_kind import database, engine, other_node, pool, ref

__all__ = ["database", "engine", "other_node", "pool", "ref"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


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
    held = units.Held()
    holds = asyncio.create_task(database.write(held))
    await held.has_begun()
    with pytest.raises(DatabaseBusy):
        await database.write(units.insert, "never")
    held.let_go()
    with suppress(Exception):
        await holds
    assert await database.write(units.insert, "next") == "next"
    assert engine.names_in(database.ref) == ["next"]


async def test_the_request_that_is_cancelled_still_has_its_unit_committed(
    engine: Engine, database: Database
) -> None:
    held = units.Held()
    holds = asyncio.create_task(database.write(held))
    await held.has_begun()
    requests = [asyncio.create_task(database.write(units.insert, name)) for name in ("one", "two")]
    await asyncio.sleep(0.02)
    requests[0].cancel()
    held.let_go()
    await holds
    with pytest.raises(asyncio.CancelledError):
        await requests[0]
    await requests[1]
    assert engine.names_in(database.ref) == ["one", "two"]


async def test_forgetting_finishes_what_runs_and_ends_the_handle(
    engine: Engine, pool: Databases, database: Database
) -> None:
    held = units.Held()
    running = asyncio.create_task(database.write(held))
    await held.has_begun()
    queued = asyncio.create_task(database.write(units.insert, "kept"))
    await asyncio.sleep(0)
    forgetting = asyncio.create_task(pool.forget(database.ref))
    await asyncio.sleep(0.05)
    with pytest.raises(WrongDatabase):
        await database.read(units.names)
    assert not forgetting.done()
    held.let_go()
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


async def test_closing_leaves_no_thread_and_no_descriptor(
    engine: Engine, ref: DatabaseRef, tmp_path: Path
) -> None:
    def held() -> tuple[int, int]:
        gc.collect()  # what other tests left behind
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    async def use(turn: int) -> None:
        async with Databases(tmp_path, kinds=engine.kinds()) as pool:
            database = pool.open(ref)
            await asyncio.gather(*(database.read(units.names) for _ in range(8)))
            await asyncio.gather(*(database.write(units.insert, f"{turn} {n}") for n in range(4)))
            with pool.exclusive(ref) as conn:
                units.insert(conn, f"{turn} x")

    await use(1)  # what the process opens once
    await asyncio.sleep(0.2)
    before = held()
    await use(2)
    async with asyncio.timeout(60):
        while any(now > then for now, then in zip(held(), before, strict=True)):
            await asyncio.sleep(0.05)


# --- compiled once -----------------------------------------------------------------------------------------------

ITEM = Table(
    "item", MetaData(), Column("name", String, nullable=False), Column("n", BigInteger, nullable=False)
)
PUT = Prepared(insert(ITEM))
FIND = Prepared(select(ITEM).where(ITEM.c.name == bindparam("wanted")))
RAISE = Prepared(
    update(ITEM).where(ITEM.c.name == bindparam("of")).values(n=ITEM.c.n + 1).returning(ITEM.c.n)
)
PAGE = PreparedPage(select(ITEM).order_by(ITEM.c.name.desc()).limit(bindparam("most")))


async def test_a_prepared_statement_says_the_same_to_each(engine: Engine, database: Database) -> None:
    for name, n in (("a", 1), ("c", 2**53 + 1), ("b'\"\\", 0)):
        await database.write(PUT.run, {"name": name, "n": n})
    assert [row.n for row in await database.write(RAISE.rows, {"of": "c"})] == [2**53 + 2]
    found = await database.read(FIND.first, {"wanted": "c"})
    assert found is not None
    assert (found.name, found.n) == ("c", 2**53 + 2)
    assert await database.read(FIND.first, {"wanted": "d"}) is None
    page = await database.read(PAGE.rows, {"most": 2})
    assert [(row.name, row.n) for row in page] == [("c", 2**53 + 2), ("b'\"\\", 0)]
    with pytest.raises(IntegrityError):
        await database.write(PUT.run, {"name": "a", "n": 3})
    assert engine.names_in(database.ref) == ["a", "c", "b'\"\\"]
