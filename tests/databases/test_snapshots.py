"""Configuration from memory is never older than the last acknowledged write, from whichever process."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from core.database import DatabaseRef, Databases, Generations, NoSlotLeft
from core.failpoints import EXIT_STATUS
from tests.databases import units
from tests.databases.processes import start

pytestmark = pytest.mark.anyio

WRITES = """
import asyncio, sys
from pathlib import Path
from core.database import Databases, DatabaseRef
from core.failpoints import configure
from tests.databases import units

async def main(path, failpoint):
    async with Databases(path.parent, synchronous="NORMAL") as pool:
        database = pool.open(DatabaseRef(path=path, owner="acme", incarnation="first"))
        await database.read(units.colour)
        print("ready", flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            configure(failpoint)
            await database.write(units.set_colour, line)
            print(line, flush=True)
asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


class Built:
    """A build function that counts how often it ran."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, conn: Connection, *_: object) -> str:
        self.times += 1
        return units.colour(conn)


async def test_a_snapshot_is_built_once_and_again_after_a_change(
    databases: Databases, ref: DatabaseRef
) -> None:
    database, build = databases.open(ref), Built()
    assert [await database.snapshot(build) for _ in range(50)] == ["red"] * 50
    assert build.times == 1
    await database.write(units.insert, "data, not configuration")
    await database.snapshot(build)
    assert build.times == 1
    await database.write(units.set_colour, "blue")
    assert await database.snapshot(build) == "blue"
    with databases.exclusive(ref) as conn:
        units.set_colour(conn, "green")
    assert await database.snapshot(build) == "green"
    assert build.times == 3


async def test_a_hundred_at_once_build_it_once(databases: Databases, ref: DatabaseRef) -> None:
    database, build = databases.open(ref), Built()
    assert set(await asyncio.gather(*(database.snapshot(build) for _ in range(100)))) == {"red"}
    assert build.times == 1


async def test_who_asks_after_a_write_never_gets_what_was_being_built_before_it(
    databases: Databases, ref: DatabaseRef
) -> None:
    def slow(conn: Connection) -> str:
        seen = units.colour(conn)
        time.sleep(0.05)
        return seen

    database = databases.open(ref)
    for turn in range(5):
        early = asyncio.create_task(database.snapshot(slow))
        await asyncio.sleep(0.01)
        await database.write(units.set_colour, f"c{turn}")
        assert await database.snapshot(slow) == f"c{turn}"
        await early


async def test_a_build_that_fails_is_tried_again(databases: Databases, ref: DatabaseRef) -> None:
    def fails_once(conn: Connection) -> str:
        fails.append(1)
        if len(fails) == 1:
            raise LookupError
        return units.colour(conn)

    fails: list[int] = []
    database = databases.open(ref)
    with pytest.raises(LookupError):
        await database.snapshot(fails_once)
    assert await database.snapshot(fails_once) == "red"


async def test_every_acknowledged_change_of_another_process_is_seen_at_once(
    databases: Databases, ref: DatabaseRef
) -> None:
    database, build = databases.open(ref), Built()
    writer = await start(WRITES, str(ref.path), "")
    await writer.says()
    for turn in range(200):
        await database.snapshot(build)
        writer.tell(f"c{turn}")
        acknowledged = asyncio.ensure_future(writer.says())
        while not acknowledged.done():
            await database.snapshot(build)
            await asyncio.sleep(0)
        assert await database.snapshot(build) == f"c{turn}"
    writer.tell()
    assert await writer.wait() == 0


@pytest.mark.parametrize(("failpoint", "colour"), [("before_commit", "red"), ("after_commit", "blue")])
async def test_a_writer_killed_at_its_commit_leaves_doubt_and_not_trust(
    databases: Databases, ref: DatabaseRef, failpoint: str, colour: str
) -> None:
    database, build = databases.open(ref), Built()
    assert await database.snapshot(build) == "red"
    writer = await start(WRITES, str(ref.path), f"database.{failpoint}=exit")
    await writer.says()
    writer.tell("blue")
    assert await writer.wait() == EXIT_STATUS
    for _ in range(3):
        assert await database.snapshot(build) == colour
    times = build.times
    await database.write(units.set_colour, "green")
    assert await database.snapshot(build) == "green"
    assert build.times == times + 1


async def test_a_write_past_every_hook_is_seen_within_a_second(
    databases: Databases, ref: DatabaseRef
) -> None:
    database, build = databases.open(ref), Built()
    assert await database.snapshot(build) == "red"
    with sqlite3.connect(ref.path) as shell:
        shell.execute("UPDATE setting SET value = 'grey'")
    shell.close()
    await asyncio.sleep(1.05)
    assert await database.snapshot(build) == "grey"


async def test_closing_and_opening_again_loses_no_change(
    tmp_path: Path, make: Callable[..., DatabaseRef]
) -> None:
    async with Databases(tmp_path, max_open=1) as pool:
        one, two, build = pool.open(make("one")), pool.open(make("two")), Built()
        assert await one.snapshot(build) == "red"
        await two.write(units.set_colour, "blue")
        with pool.exclusive(one.ref) as conn:
            units.set_colour(conn, "green")
        assert await one.snapshot(build) == "green"
        assert await two.snapshot(build) == "blue"


def test_a_slot_is_odd_while_any_commit_of_the_process_is_in_flight(tmp_path: Path) -> None:
    with Generations(tmp_path) as here, Generations(tmp_path) as there:
        bucket, seen = here.bucket("acme", "first"), there.bucket("acme", "first")
        before = seen.value()
        bucket.begin()
        bucket.begin()
        bucket.end()
        assert seen.token(seen.value(), 1) is None
        bucket.end()
        assert seen.token(seen.value(), 1) is not None
        assert seen.value() != before


def test_what_a_dead_process_left_odd_is_raised_to_even_by_who_meets_it(tmp_path: Path) -> None:
    with Generations(tmp_path) as here:
        dead = Generations(tmp_path)
        before = here.bucket("acme", "first").value()
        dead.bucket("acme", "first").begin()
        dead.close()
        bucket = here.bucket("acme", "first")
        assert bucket.token(bucket.value(), 1) is None  # doubt once, and healed by it
        assert bucket.token(bucket.value(), 1) is not None
        assert bucket.value() != before


def test_a_new_process_raises_what_its_predecessor_left_odd(tmp_path: Path) -> None:
    dead = Generations(tmp_path)
    dead.bucket("acme", "first").begin()
    dead.close()
    with Generations(tmp_path) as successor:
        bucket = successor.bucket("acme", "first")
        assert bucket.token(bucket.value(), 1) is not None


def test_more_processes_than_slots_is_a_sentence(tmp_path: Path) -> None:
    all_of_them = [Generations(tmp_path) for _ in range(8)]
    with pytest.raises(NoSlotLeft, match="8 processes already use"):
        Generations(tmp_path)
    for each in all_of_them:
        each.close()
