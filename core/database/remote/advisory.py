"""What is done on a PostgreSQL server before there is a database to open: by one process of all nodes at a time."""

import time
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection

from core.database.engine import UnitConnection
from core.database.refs import Remote
from core.database.remote.postgresql import ONE_WRITER, connect, conninfo
from core.database.remote.postgresql import Connection as Driver
from core.database.remote.postgresql_dialect import shared_postgresql
from core.errors import DatabaseUnavailable

CONNECT_SECONDS = 5.0
_TURN = (0x6B65, 1)
"""A key of two numbers: it never meets the one of a database's writers."""


@contextmanager
def one_at_a_time(server: Remote) -> Generator[None, None, None]:
    """Waits for whoever is inside, as long as that takes; a process that dies is outside at once. For threads."""
    with _connected(server) as driver:
        driver.execute("SELECT pg_advisory_lock($1, $2)", _TURN)
        yield


@contextmanager
def server_transaction(server: Remote, *, as_writer: bool = False) -> Generator[Connection, None, None]:
    """Committed at the end, undone by an exception, however long it takes. `as_writer` is the only one of its
    database meanwhile. For threads."""
    with _connected(server) as driver:
        driver.execute("BEGIN")
        if as_writer:
            driver.execute("SELECT pg_advisory_xact_lock($1)", (ONE_WRITER,))
        yield UnitConnection(driver, shared_postgresql()).connection
        driver.execute("COMMIT")


@contextmanager
def _connected(server: Remote) -> Generator[Driver, None, None]:
    """The server ends what is open, locks included, when the connection goes."""
    try:
        driver = connect(conninfo(server), until=time.monotonic() + CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable from error
    driver.until = None
    try:
        yield driver
    finally:
        driver.close()
