"""Locks, deadlines and several processes on one file (F10)."""

import asyncio
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core.database import DatabaseRef, Databases, UnitBroken
from core.errors import DatabaseBusy, DatabaseFull, OutcomeUnknown
from core.failpoints import configure
from tests.databases import units
from tests.databases.processes import start

pytestmark = pytest.mark.anyio

HOLDS_THE_LOCK = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
held.execute("ROLLBACK")
"""

COUNTS = """
import asyncio, sys, time
from pathlib import Path
from core.database import Databases, DatabaseRef
from tests.databases import units

async def main(path):
    async with Databases(path.parent, synchronous="NORMAL") as pool:
        database = pool.open(DatabaseRef(path=path, owner="acme", incarnation="first"))
        await database.write(units.value_of, "shared")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        until, done = time.monotonic() + 1.0, 0
        async def client():
            nonlocal done
            while time.monotonic() < until:
                await database.write(units.count_up, "shared")
                done += 1
        await asyncio.gather(*(client() for _ in range(10)))
        print(done, flush=True)
asyncio.run(main(Path(sys.argv[1])))
"""

STOPS_INSIDE = """
import sys
from pathlib import Path
from core.database import Databases, DatabaseRef
path = Path(sys.argv[1])
with Databases(path.parent).exclusive(DatabaseRef(path=path, owner="acme", incarnation="first")):
    print("inside", flush=True)
    sys.stdin.readline()
"""


async def test_a_locked_database_is_busy_after_the_deadline_and_the_loop_never_blocks(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    await database.write(units.insert, "before")
    outsider = await start(HOLDS_THE_LOCK, str(ref.path))
    await outsider.says()
    began = time.monotonic()
    writes = [asyncio.create_task(database.write(units.insert, f"w{n}")) for n in range(5)]
    reads = 0
    while not all(write.done() for write in writes):
        assert await database.read(units.names) == ["before"]
        await asyncio.sleep(0.01)
        reads += 1
    assert time.monotonic() - began > 0.9, "nobody waited"
    assert reads > 3, "the loop waited with them"
    for write in writes:
        error = write.exception()
        assert isinstance(error, DatabaseBusy)
        assert error.headers["Retry-After"]
    waits = asyncio.create_task(database.write(units.insert, "after"))
    await asyncio.sleep(0.1)
    outsider.tell()
    assert await waits == "after"
    assert await database.read(units.names) == ["before", "after"]
    assert await outsider.wait() == 0


async def test_a_stopped_process_in_the_turnstile_costs_its_tenant_a_503_and_no_more(
    tmp_path: Path, ref: DatabaseRef
) -> None:
    stopped = await start(STOPS_INSIDE, str(ref.path))
    await stopped.says()
    os.kill(stopped.pid, signal.SIGSTOP)
    async with Databases(tmp_path, write_deadline=0.3) as pool:
        database = pool.open(ref)
        with pytest.raises(DatabaseBusy):
            await database.write(units.insert, "withdrawn")
        with pytest.raises(DatabaseBusy), pool.exclusive(ref):
            pass
        assert await database.read(units.names) == []
        os.kill(stopped.pid, signal.SIGKILL)
        await stopped.wait()
        assert await database.write(units.insert, "after") == "after"
        assert await database.read(units.names) == ["after"]


async def test_a_unit_that_was_begun_is_awaited_past_the_deadline(tmp_path: Path, ref: DatabaseRef) -> None:
    async with Databases(tmp_path, write_deadline=0.1) as pool:
        database = pool.open(ref)
        held = units.Held()
        long = asyncio.create_task(database.write(held))
        await held.has_begun()
        with pytest.raises(DatabaseBusy):
            await database.write(units.insert, "withdrawn")
        held.let_go()
        await long
        assert await database.read(units.names) == []


async def test_two_processes_share_one_file_fairly_and_lose_no_update(
    databases: Databases, ref: DatabaseRef
) -> None:
    await databases.open(ref).write(units.insert, "shared")
    processes = [await start(COUNTS, str(ref.path)) for _ in range(2)]
    for process in processes:
        await process.says()
    for process in processes:
        process.tell()
    done = [int(await process.says()) for process in processes]
    assert [await process.wait() for process in processes] == [0, 0]
    assert await databases.open(ref).read(units.value_of, "shared") == sum(done)
    assert min(done) / max(done) > 0.1, "one of them had to stand by"


async def test_threads_of_the_fleet_and_the_lane_take_turns(databases: Databases, ref: DatabaseRef) -> None:
    database = databases.open(ref)
    await database.write(units.insert, "shared")

    def fleet() -> None:
        for _ in range(20):
            with databases.exclusive(ref) as conn:
                units.count_up(conn, "shared")

    async def lane() -> None:
        for _ in range(100):
            await database.write(units.count_up, "shared")

    await asyncio.gather(asyncio.to_thread(fleet), asyncio.to_thread(fleet), lane(), lane())
    assert await database.read(units.value_of, "shared") == 240


def insert_twice(conn: Connection) -> None:
    units.insert(conn, "undone")
    units.insert(conn, "undone")


async def test_what_the_fleet_does_is_one_transaction(databases: Databases, ref: DatabaseRef) -> None:
    with pytest.raises(IntegrityError), databases.exclusive(ref) as conn:
        insert_twice(conn)
    with databases.exclusive(ref) as conn:
        units.insert(conn, "kept")
    with databases.read_only(ref) as conn:
        assert units.names(conn) == ["kept"]


def stops_half_way(conn: Connection) -> None:
    units.insert(conn, "undone")
    for name in conn.exec_driver_sql("SELECT name FROM item UNION ALL SELECT 'more'").scalars():
        raise LookupError(name)


def rolls_back_and_goes_on(conn: Connection) -> None:
    conn.rollback()
    units.insert(conn, "undone")


async def test_the_fleet_lets_go_of_the_lock_whatever_its_exception_holds(
    databases: Databases, ref: DatabaseRef
) -> None:
    with pytest.raises(LookupError) as held, databases.exclusive(ref) as conn:
        stops_half_way(conn)
    with pytest.raises(UnitBroken), databases.exclusive(ref) as conn:
        rolls_back_and_goes_on(conn)
    assert await databases.open(ref).write(units.insert, "next") == "next"
    assert held.value.args == ("undone",)
    assert await databases.open(ref).read(units.names) == ["next"]


async def test_a_full_disk_undoes_and_the_lane_recovers_without_a_restart(
    databases: Databases, ref: DatabaseRef
) -> None:
    def limit(conn: Connection, pages: int) -> None:
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def big(conn: Connection, name: str) -> None:
        conn.exec_driver_sql("INSERT INTO item (name, blob) VALUES (?, zeroblob(1000000))", (name,))

    database = databases.open(ref)
    await database.write(units.insert, "kept")
    await database.write(limit, 60)
    for _ in range(3):
        with pytest.raises(DatabaseFull):
            await database.write(big, "too big")
    assert await database.write(units.count_up, "kept") == 1
    await database.write(limit, 100_000)
    await database.write(big, "fits now")
    assert await database.read(units.names) == ["kept", "fits now"]


async def test_units_asked_for_alone_keep_their_place_in_the_queue(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    held = units.Held()
    blocker = asyncio.create_task(database.write(held))
    await held.has_begun()
    asked = [(database.alone if n % 3 == 0 else database.write)(units.insert, f"n{n}") for n in range(60)]
    tasks = [asyncio.ensure_future(each) for each in asked]
    await asyncio.sleep(0)
    held.let_go()
    await asyncio.gather(blocker, *tasks)
    assert await database.read(units.names) == [f"n{n}" for n in range(60)]


async def test_a_commit_refused_to_the_fleet_is_reported(databases: Databases, ref: DatabaseRef) -> None:
    configure("database.before_commit=raise")
    try:
        with pytest.raises(OutcomeUnknown), databases.exclusive(ref) as conn:
            units.insert(conn, "x")
    finally:
        configure("")
    assert sqlite3.connect(ref.path).execute("SELECT count(*) FROM item").fetchone() == (0,)
