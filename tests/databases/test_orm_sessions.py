"""An ORM session is made per unit and closed with it; it cannot end the lane's transaction."""

import pytest
from sqlalchemy import Connection, String
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from core.database import DatabaseRef, Databases
from tests.databases import units
from tests.databases.conftest import names_in

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String)
    n: Mapped[int] = mapped_column(default=0)


def add_and_commit(conn: Connection, name: str) -> int:
    with Session(conn) as session:
        item = Item(name=name)
        session.add(item)
        session.commit()
        return item.id


def add_and_flush(conn: Connection, name: str) -> int:
    with Session(conn) as session:
        item = Item(name=name)
        session.add(item)
        session.flush()
        return item.id


def add_then_fail(conn: Connection, name: str) -> None:
    add_and_commit(conn, name)
    raise LookupError


async def test_a_session_works_in_a_unit_and_the_lane_commits(databases: Databases, ref: DatabaseRef) -> None:
    database = databases.open(ref)
    assert await database.write(add_and_commit, "committed") == 1
    assert await database.write(add_and_flush, "flushed") == 2
    assert names_in(ref) == ["committed", "flushed"]


async def test_what_a_session_committed_is_undone_when_its_unit_raises(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    with pytest.raises(LookupError):
        await database.write(add_then_fail, "undone")
    with pytest.raises(IntegrityError):
        await database.write(add_twice, "twice")
    assert await database.write(units.insert, "next") == "next"
    assert names_in(ref) == ["next"]


def add_twice(conn: Connection, name: str) -> None:
    with Session(conn) as session:
        session.add_all([Item(name=name), Item(name=name)])
        session.commit()
