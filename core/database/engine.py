"""One dialect and one compiled cache for every connection of the process.

Opening a database then costs neither a dialect's initialisation nor the compilation of statements that another
tenant's lane has already compiled (`specs/stack.md` section 6).
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import msgspec
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache

from core.database.faults import MOVED, UnitBroken
from core.errors import DatabaseMoved

Asked = Sequence[tuple[str, Sequence[Any]]]
"""Texts with their parameters."""

COMPILED_STATEMENTS = 2_000
LOST = "the transaction was lost; a unit of work may not go on"


@dataclass(frozen=True, slots=True)
class Shared:
    dialect: Dialect
    url: URL
    compiled: LRUCache[Any, Any]

    def __post_init__(self) -> None:
        event.listen(self.dialect, "handle_error", _told_if_moved)


def _told_if_moved(context: ExceptionContext) -> None:
    """At once: a trigger's refusal is an IntegrityError, and a unit that expects one would take it for its own."""
    if str(context.original_exception).startswith(MOVED):
        raise DatabaseMoved from context.original_exception


class LaneRules:
    """What the dialect of every kind does differently where a lane owns the transaction. A mix-in.

    It never commits or rolls back for itself: an ORM session whose flush fails rolls back the whole transaction
    before it raises, but the lane undoes the unit anyway, and refuses one that goes on after that
    (`UnitConnection.tidy`).

    It executes nothing outside a transaction: a full disk or a conflict that rolls back ends the transaction inside
    a unit, and what a unit that goes on would then write would be committed statement by statement.
    """

    supports_statement_cache = True

    def do_rollback(self, dbapi_connection: Any) -> None:
        pass

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        if not cursor.connection.in_transaction:
            raise UnitBroken(LOST)
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        if not cursor.connection.in_transaction:
            raise UnitBroken(LOST)
        cursor.executemany(statement, parameters)

    def do_execute_no_params(self, cursor: Any, statement: Any, context: Any = None) -> None:
        if not cursor.connection.in_transaction:
            raise UnitBroken(LOST)
        cursor.execute(statement)


class LaneDialect(LaneRules, SQLiteDialect_pysqlite):
    supports_statement_cache = True
    write = staticmethod(sqlite3.Connection.execute)
    """What runs a prepared statement of which nothing is asked."""

    @staticmethod
    def fetch_all(driver: sqlite3.Connection, asked: Asked) -> list[list[Any]]:
        return [driver.execute(text, parameters).fetchall() for text, parameters in asked]


def fetch_together(driver: Any, asked: Asked) -> list[list[Any]]:
    """`fetch_all` likewise."""
    rows: list[list[Any]] = driver.fetch_together(asked)
    return rows


def write_later(driver: Any, text: str, parameters: Sequence[Any]) -> None:
    """`write` where each answer is waited for across a network."""
    driver.execute_later(text, parameters)


def to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")


@cache
def shared() -> Shared:
    driver = sqlite3.connect(":memory:")
    url = URL.create("sqlite")
    dialect = LaneDialect(
        dbapi=cast(Any, sqlite3), json_serializer=to_json, json_deserializer=msgspec.json.decode
    )
    driver.execute("BEGIN")
    with Engine(_pool_of(driver, dialect), dialect, url).connect() as connection:
        dialect.initialize(connection)
    driver.close()
    return Shared(dialect, url, LRUCache(COMPILED_STATEMENTS))


def _pool_of(driver: Any, dialect: Dialect) -> StaticPool:
    return StaticPool(cast(Any, lambda: driver), dialect=dialect, reset_on_return=None)


def connection_over(driver: Any, common: Shared | None = None) -> Connection:
    """A SQLAlchemy connection that is always inside a transaction as far as SQLAlchemy knows.

    Whoever owns the driver's connection begins and ends the real one. Parameters are hidden from error messages:
    they hold personal data.
    """
    common = common or shared()
    engine = Engine(
        _pool_of(driver, common.dialect),
        common.dialect,
        common.url,
        query_cache_size=0,
        # psycopg forgets how many rows an INSERT made when its cursor is closed
        execution_options={"compiled_cache": common.compiled, "preserve_rowcount": True},
        hide_parameters=True,
    )
    connection = engine.connect()
    connection.begin()
    return connection


class UnitConnection:
    """What units are given: SQLAlchemy's connection, with the one transaction that it believes to be in."""

    __slots__ = ("_common", "_driver", "_root", "connection")

    def __init__(self, driver: Any, common: Shared | None = None) -> None:
        self._driver = driver
        self._common = common
        self._connect()

    def tidy(self) -> bool:
        """Whether SQLAlchemy's idea of the transaction is still the lane's; afterwards it is."""
        root = self.connection.get_transaction()
        if (
            root is None or root is not self._root or not root.is_active
        ):  # a unit closed, committed or rolled back
            self._connect()
            return False
        tidy = True
        while (nested := self.connection.get_nested_transaction()) is not None:
            tidy = False
            with suppress(DBAPIError):
                nested.rollback()
        return tidy

    def close(self) -> None:
        self.connection.close()

    def _connect(self) -> None:
        self.connection = connection_over(self._driver, self._common)
        self._root = self.connection.get_transaction()
