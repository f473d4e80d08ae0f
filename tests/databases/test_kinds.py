"""What a unit of work may rely on, and what it may not do, whatever kind of database it runs on."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from core.database import Database, Databases, UnitBroken
from core.errors import (
    DatabaseUnavailable,
    ManagedByControlPlane,
    ManagedByTenant,
)
from tests.databases import units
from tests.databases.engines import Engine
from tests.databases.on_every_kind import database, engine, other_node, pool, ref

__all__ = ["database", "engine", "other_node", "pool", "ref"]

pytestmark = pytest.mark.anyio


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
