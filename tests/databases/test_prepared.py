"""Statements that go to the driver without SQLAlchemy give and take the same values, under the same rules."""

from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from core.database import Database, DatabaseRef, Databases, Prepared, PreparedPage, UnitBroken
from tests.databases.conftest import names_in

pytestmark = pytest.mark.anyio

ITEM = Table(
    "item",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("n", Boolean, nullable=False),
    Column("blob", JSON),
)
_FIND = select(ITEM.c.name, ITEM.c.n, ITEM.c.blob, literal("a constant").label("kind")).where(
    ITEM.c.name == bindparam("wanted")
)
INSERT, FIND = Prepared(insert(ITEM)), Prepared(_FIND)
RENAME = Prepared(
    update(ITEM)
    .where(ITEM.c.name == bindparam("of"))
    .values(name=bindparam("to"))
    .returning(ITEM.c.name, ITEM.c.blob)
)
PAGE = PreparedPage(select(ITEM).order_by(ITEM.c.name.desc()).limit(bindparam("most")))
ROW: dict[str, Any] = {"id": 1, "name": "one", "n": True, "blob": {"a": [1, None]}}


@pytest.fixture
def database(databases: Databases, ref: DatabaseRef) -> Database:
    return databases.open(ref)


def _ordinary(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.execute(_FIND, {"wanted": "one"}).one())


async def test_values_are_those_that_sqlalchemy_would_give(database: Database) -> None:
    await database.write(INSERT.run, ROW)
    found = await database.read(FIND.first, {"wanted": "one"})
    assert found == await database.read(_ordinary)
    assert (found.name, found.n, found.blob, found.kind) == ("one", True, {"a": [1, None]}, "a constant")


async def test_nothing_found_is_none(database: Database) -> None:
    assert await database.read(FIND.first, {"wanted": "one"}) is None
    assert await database.read(FIND.rows, {"wanted": "one"}) == []


async def test_a_write_returns_rows(database: Database) -> None:
    await database.write(INSERT.run, ROW)
    renamed = await database.write(RENAME.rows, {"of": "one", "to": "two"})
    assert [(row.name, row.blob) for row in renamed] == [("two", {"a": [1, None]})]
    assert await database.write(RENAME.first, {"of": "one", "to": "two"}) is None


async def test_a_violation_is_the_error_that_units_know(database: Database, ref: DatabaseRef) -> None:
    await database.write(INSERT.run, ROW)
    with pytest.raises(IntegrityError):
        await database.write(INSERT.run, {**ROW, "id": 2})
    assert names_in(ref) == ["one"]


async def test_a_unit_that_lost_its_transaction_may_not_go_on(database: Database, ref: DatabaseRef) -> None:
    def lose_and_go_on(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO strict_item VALUES ('a')")
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql("INSERT INTO strict_item VALUES ('a')")
        INSERT.run(connection, ROW)

    with pytest.raises(UnitBroken):
        await database.write(lose_and_go_on)
    assert names_in(ref) == []


async def test_a_text_that_depends_on_its_values_is_refused(database: Database) -> None:
    with pytest.raises(TypeError):
        await database.read(Prepared(select(ITEM.c.name).where(ITEM.c.id.in_([1, 2]))).rows, {})


async def test_a_page_is_in_order_and_its_values_are_those_that_sqlalchemy_would_give(
    database: Database,
) -> None:
    rows = [
        {
            "id": 1,
            "name": "a",
            "n": True,
            "blob": {"text": '"ü\\ \n\0 \U0001f511', "list": [1.5, None, True]},
        },
        {"id": 2, "name": "c", "n": False, "blob": None},
        {"id": 2**53 + 1, "name": "b\0'", "n": True, "blob": []},
    ]
    for row in rows:
        await database.write(INSERT.run, row)
    found = await database.read(PAGE.rows, {"most": 10})
    ordinary = await database.read(lambda connection: connection.execute(select(ITEM)).all())
    assert [(row.id, row.name, row.n, row.blob) for row in found] == sorted(
        map(tuple, ordinary), key=lambda row: str(row[1]), reverse=True
    )
    assert [row.name for row in await database.read(PAGE.rows, {"most": 1})] == ["c"]
    assert await database.read(PAGE.rows, {"most": 0}) == []


def test_a_page_has_no_bytes() -> None:
    sealed = Table("sealed", MetaData(), Column("value", LargeBinary))
    with pytest.raises(TypeError):
        PreparedPage(select(sealed))


async def test_a_column_without_a_name_has_its_place(database: Database) -> None:
    unnamed = Prepared(select(ITEM.c.n.is_(True)).where(ITEM.c.name == bindparam("wanted")))
    await database.write(INSERT.run, ROW)
    found = await database.read(unnamed.first, {"wanted": "one"})
    assert found is not None
    assert bool(found[0])
