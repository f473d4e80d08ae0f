"""Writes of which nothing is asked, and statements that are asked together: fewer round trips, the same truth."""

import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, bindparam, insert, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from core.database import Database, DatabaseRef, Databases, Prepared, rows_of_all
from core.errors import ManagedByControlPlane, WrongDatabase
from tests.databases import units
from tests.databases.engines import Engine
from tests.databases.on_every_kind import database, engine, other_node, pool, ref

__all__ = ["database", "engine", "other_node", "pool", "ref"]

pytestmark = pytest.mark.anyio

ITEM = Table("item", MetaData(), Column("name", String, primary_key=True), Column("n", Integer))
SETTING = Table("setting", MetaData(), Column("name", String), Column("value", String))
INSERT = Prepared(insert(ITEM))
COUNT = Prepared(update(ITEM).where(ITEM.c.name == bindparam("of")).values(n=ITEM.c.n + 1))
FORGET = Prepared(SETTING.delete().where(SETTING.c.name == bindparam("of")))
NAMES = Prepared(select(ITEM.c.name).order_by(ITEM.c.name))
SETTINGS = Prepared(select(SETTING.c.name, SETTING.c.value))


def put(conn: Connection, *names: str) -> None:
    for name in names:
        INSERT.run(conn, {"name": name, "n": 0})


def names(conn: Connection) -> list[str]:
    return [row.name for row in NAMES.rows(conn, {})]


async def test_a_read_sees_what_was_written_before_it(engine: Engine, database: Database) -> None:
    def unit(conn: Connection) -> list[str]:
        put(conn, "one", "two")
        COUNT.run(conn, {"of": "one"})
        assert units.value_of(conn, "one") == 1
        put(conn, "three")
        return names(conn)

    assert await database.write(unit) == ["one", "three", "two"]
    assert sorted(engine.names_in(database.ref)) == ["one", "three", "two"]


async def test_a_broken_rule_undoes_the_unit_and_is_told_whenever_it_is_found(
    engine: Engine, database: Database
) -> None:
    def at_the_end(conn: Connection) -> None:
        put(conn, "one", "one")

    def in_the_middle(conn: Connection) -> None:
        put(conn, "one", "one", "two")
        names(conn)

    for unit in (at_the_end, in_the_middle):
        with pytest.raises(IntegrityError):
            await database.write(unit)
    with pytest.raises(ManagedByControlPlane):
        await database.write(lambda conn: FORGET.run(conn, {"of": "colour"}))
    await database.write(put, "after")
    assert engine.names_in(database.ref) == ["after"]


def _fail(conn: Connection, name: str, then: Callable[[Connection], object]) -> None:
    """In a savepoint. What is wrong with a prepared statement is the driver's own exception."""
    savepoint = conn.begin_nested()
    try:
        put(conn, name)
        then(conn)
    except Exception:
        savepoint.rollback()
    else:
        raise AssertionError("that cannot have worked")


async def test_what_waits_in_a_savepoint_is_undone_with_it(engine: Engine, database: Database) -> None:
    def unit(conn: Connection) -> None:
        put(conn, "before")
        _fail(conn, "inside", lambda _: {}["nothing"])
        _fail(conn, "before", names)
        put(conn, "after")

    await database.write(unit)
    assert sorted(engine.names_in(database.ref)) == ["after", "before"]


async def test_a_reading_unit_cannot_leave_a_write_behind(engine: Engine, database: Database) -> None:
    with pytest.raises((DatabaseError, sqlite3.OperationalError)):
        await database.read(put, "one")
    assert engine.names_in(database.ref) == []


async def test_nothing_that_waits_reaches_the_database_of_another(
    engine: Engine, pool: Databases, ref: DatabaseRef
) -> None:
    engine.run(ref, "UPDATE tenant SET incarnation = 'another'")
    with pytest.raises(WrongDatabase):
        await pool.open(ref).write(put, "one")
    assert engine.names_in(ref) == []


async def test_statements_that_are_asked_together_are_answered_each(database: Database) -> None:
    def unit(conn: Connection) -> list[list[tuple[str, ...]]]:
        put(conn, "one", "two")
        return [[tuple(row) for row in rows] for rows in rows_of_all(conn, NAMES, SETTINGS, NAMES)]

    there = [("one",), ("two",)]
    assert await database.write(unit) == [there, [("colour", "red")], there]
