"""One dialect and one compiled cache for every connection of the process.

Opening a database then costs neither a dialect's initialisation nor the compilation of statements that another
tenant's lane has already compiled (`specs/stack.md` section 6).
"""

import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache

COMPILED_STATEMENTS = 2_000


@dataclass(frozen=True, slots=True)
class Shared:
    dialect: Dialect
    url: URL
    compiled: LRUCache[Any, Any]


@cache
def shared() -> Shared:
    probe = create_engine("sqlite://")
    with probe.connect():  # initialises the dialect
        pass
    probe.dispose()
    return Shared(probe.dialect, probe.url, LRUCache(COMPILED_STATEMENTS))


def connection_over(driver: sqlite3.Connection) -> Connection:
    """A SQLAlchemy connection that is always inside a transaction as far as SQLAlchemy knows.

    The lane begins and ends the real one. Parameters are hidden from error messages: they hold personal data.
    """
    common = shared()
    pool = StaticPool(cast(Any, lambda: driver), dialect=common.dialect, reset_on_return=None)
    engine = Engine(
        pool,
        common.dialect,
        common.url,
        query_cache_size=0,
        execution_options={"compiled_cache": common.compiled},
        hide_parameters=True,
    )
    connection = engine.connect()
    connection.begin()
    return connection
