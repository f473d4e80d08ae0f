"""One dialect and one compiled cache for every connection of the process.

Opening a database then costs neither a dialect's initialisation nor the compilation of statements that another
tenant's lane has already compiled (`specs/stack.md` section 6).
"""

import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import msgspec
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache

from core.database.faults import UnitBroken

COMPILED_STATEMENTS = 2_000
LOST = "the transaction was lost; a unit of work may not go on"


@dataclass(frozen=True, slots=True)
class Shared:
    dialect: Dialect
    url: URL
    compiled: LRUCache[Any, Any]


class LaneDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's own, with two differences.

    It never rolls back for itself: an ORM session whose flush fails rolls back the whole transaction before it
    raises, but the lane undoes the unit anyway, and refuses one that goes on after that (`OpenFile.call`).

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


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")


@cache
def shared() -> Shared:
    driver = sqlite3.connect(":memory:")
    url = URL.create("sqlite")
    dialect = LaneDialect(
        dbapi=cast(Any, sqlite3), json_serializer=_to_json, json_deserializer=msgspec.json.decode
    )
    driver.execute("BEGIN")
    with Engine(_pool_of(driver, dialect), dialect, url).connect() as connection:
        dialect.initialize(connection)
    driver.close()
    return Shared(dialect, url, LRUCache(COMPILED_STATEMENTS))


def _pool_of(driver: sqlite3.Connection, dialect: Dialect) -> StaticPool:
    return StaticPool(cast(Any, lambda: driver), dialect=dialect, reset_on_return=None)


def connection_over(driver: sqlite3.Connection) -> Connection:
    """A SQLAlchemy connection that is always inside a transaction as far as SQLAlchemy knows.

    Whoever owns the driver's connection begins and ends the real one. Parameters are hidden from error messages:
    they hold personal data.
    """
    common = shared()
    engine = Engine(
        _pool_of(driver, common.dialect),
        common.dialect,
        common.url,
        query_cache_size=0,
        execution_options={"compiled_cache": common.compiled},
        hide_parameters=True,
    )
    connection = engine.connect()
    connection.begin()
    return connection
