"""A unit whose database was fenced, or whose handle ended, runs where the pointer leads by then."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from core.database import Database, DatabaseRef, Databases
from core.errors import Conflict, DatabaseMoved, WrongDatabase
from tests.databases.conftest import make_database, names_in

FENCE = "CREATE TRIGGER fence BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'tenant_moved'); END"


def fence(ref: DatabaseRef) -> None:
    with sqlite3.connect(ref.file) as other:
        other.execute(FENCE)
    other.close()


def put(connection: Connection, name: str) -> str:
    connection.execute(text("INSERT INTO item (name) VALUES (:name)"), {"name": name})
    return name


def put_or_conflict(connection: Connection, name: str) -> str:
    """As many units do: what the schema refuses is the caller's mistake."""
    try:
        return put(connection, name)
    except IntegrityError as error:
        raise Conflict("taken") from error


def names(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT name FROM item ORDER BY id")).scalars())


def colour(connection: Connection) -> str:
    return str(connection.execute(text("SELECT value FROM setting")).scalar_one())


@pytest.fixture
def successor(tmp_path: Path, ref: DatabaseRef) -> DatabaseRef:
    (tmp_path / "elsewhere").mkdir()
    return replace(make_database(tmp_path / "elsewhere"), generation=ref.generation + 1)


def pointing(databases: Databases, pointer: list[DatabaseRef]) -> None:
    async def follow(_: str) -> Database | None:
        return databases.open(pointer[0])

    databases.follow(follow)


async def test_a_write_to_a_fenced_database_waits_for_the_pointer_and_goes_there_once(
    databases: Databases, ref: DatabaseRef, successor: DatabaseRef
) -> None:
    pointer = [ref]
    pointing(databases, pointer)
    handle = databases.open(ref)
    await handle.write(put, "before")
    fence(ref)
    writing = asyncio.gather(*(handle.write(put_or_conflict, f"after{n}") for n in range(5)))
    await asyncio.sleep(0.05)
    assert not writing.done()
    pointer[0] = successor
    assert await writing == [f"after{n}" for n in range(5)]
    assert names_in(ref) == ["before"]
    assert sorted(names_in(successor)) == [f"after{n}" for n in range(5)]


async def test_every_way_to_run_a_unit_follows_from_a_handle_that_has_ended(
    databases: Databases, ref: DatabaseRef, successor: DatabaseRef
) -> None:
    old = databases.open(ref)
    assert await old.read(names) == []
    pointing(databases, [successor])
    databases.open(successor)
    assert old.retired
    assert await old.write(put, "there") == "there"
    assert await old.alone(put, "too") == "too"
    assert await old.read(names) == ["there", "too"]
    assert await old.snapshot(colour) == "red"


async def test_a_fence_that_leads_nowhere_is_told_when_the_time_is_over(
    databases: Databases, ref: DatabaseRef
) -> None:
    pointing(databases, [ref])
    fence(ref)
    with pytest.raises(DatabaseMoved):
        await databases.open(ref).write(put_or_conflict, "never")
    assert names_in(ref) == []


async def test_a_wrong_database_is_not_waited_for(
    databases: Databases, make: Callable[..., DatabaseRef]
) -> None:
    right = make()
    wrong = replace(right, path=make("globex").path)
    pointing(databases, [wrong])
    handle = databases.open(wrong)
    rounds = 0

    async def follow(_: str) -> Database | None:
        nonlocal rounds
        rounds += 1
        return handle

    databases.follow(follow)
    with pytest.raises(WrongDatabase):
        await handle.read(names)
    assert rounds == 1


async def test_a_thread_of_the_fleet_is_told(databases: Databases, ref: DatabaseRef) -> None:
    fence(ref)
    with pytest.raises(DatabaseMoved), databases.exclusive(ref) as connection:
        put_or_conflict(connection, "never")


async def test_a_fence_that_opens_again_lets_through_who_waited(
    databases: Databases, ref: DatabaseRef
) -> None:
    pointing(databases, [ref])
    fence(ref)
    writing = asyncio.create_task(databases.open(ref).write(put_or_conflict, "waited"))
    await asyncio.sleep(0.05)
    with sqlite3.connect(ref.file) as other:
        other.execute("DROP TRIGGER fence")
    other.close()
    assert await writing == "waited"
    assert names_in(ref) == ["waited"]
