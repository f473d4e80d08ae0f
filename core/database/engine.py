"""One dialect and one compiled cache for every connection of the process.

Opening a database then costs neither a dialect's initialisation nor the compilation of statements that another
tenant's lane has already compiled (`specs/stack.md` section 6).
"""

import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache

COMPILED_STATEMENTS = 2_000


@dataclass(frozen=True, slots=True)
class Shared:
    dialect: Dialect
    url: URL
    compiled: LRUCache[Any, Any]


class LaneDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's own, but that it never rolls back for itself.

    An ORM session whose flush fails rolls back the whole transaction before it raises. The lane undoes the unit
    anyway, and a unit that goes on after such a rollback is refused (`OpenFile.call`).
    """

    supports_statement_cache = True

    def do_rollback(self, dbapi_connection: Any) -> None:
        pass


@cache
def shared() -> Shared:
    driver = sqlite3.connect(":memory:")
    url, dialect = URL.create("sqlite"), LaneDialect(dbapi=cast(Any, sqlite3))
    with Engine(_pool_of(driver, dialect), dialect, url).connect() as connection:
        dialect.initialize(connection)
    driver.close()
    return Shared(dialect, url, LRUCache(COMPILED_STATEMENTS))


def _pool_of(driver: sqlite3.Connection, dialect: Dialect) -> StaticPool:
    return StaticPool(cast(Any, lambda: driver), dialect=dialect, reset_on_return=None)


def connection_over(driver: sqlite3.Connection) -> Connection:
    """A SQLAlchemy connection that is always inside a transaction as far as SQLAlchemy knows.

    The lane begins and ends the real one. Parameters are hidden from error messages: they hold personal data.
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
