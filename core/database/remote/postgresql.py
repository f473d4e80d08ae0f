"""PostgreSQL as an engine: a session is one connection, a transaction begins and ends in one round trip each.

All writers of a database take one advisory lock, so units keep the order that SQLite gives them, on all nodes; it
goes with the transaction, and a transaction that nobody drives goes by itself. Readers see one moment and cannot
write. Whatever the server says or does not say, a call ends when its time is over.
"""

import secrets
import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import RawCursor, errors
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError

from core.database.engine import UnitConnection
from core.database.refs import DatabaseRef, Remote, Roll
from core.database.remote.postgresql_dialect import adapters, shared_postgresql
from core.database.remote.session import Fault
from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseCrowded,
    DatabaseFull,
    DatabaseMissing,
    DatabaseUnavailable,
)

ONE_WRITER = 0x6B65_7973
"""The advisory lock of a database's writers. Such locks belong to one database."""

ANSWER_SECONDS = 0.25
"""What the server is given beyond its own time limit to say that it was reached."""

FORGOTTEN_MS = 10_000
"""A transaction whose node sleeps is ended by the server, and with it the writers' lock."""

_HAS_MARKS = "to_regclass('transaction_marks') IS NOT NULL"
MARKS_KEPT_MS = 3_600_000
_SWEEP_ONE_IN = 64


class Connection(psycopg.Connection[Any]):
    """psycopg's, in autocommit mode, with a time at which waiting ends. `in_transaction` is as sqlite3's."""

    until: float | None = None

    @property
    def in_transaction(self) -> bool:
        return self.info.transaction_status == TransactionStatus.INTRANS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if self.until is not None:
            left = max(0.001, self.until + ANSWER_SECONDS - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        return super().wait(gen, interval, timeout)


def connect(conninfo: str, *, until: float) -> Connection:
    """Blocks until then at most, or for two seconds if that is longer."""
    driver = Connection.connect(
        conninfo,
        autocommit=True,
        prepare_threshold=None,  # a pooler may give each transaction another server process
        context=adapters(),
        cursor_factory=RawCursor,
        connect_timeout=max(2, round(until - time.monotonic())),
        application_name="keystead",
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
    )
    driver.until = until
    return driver


class CommitUnanswered(Exception):
    """COMMIT was sent; the cause says what came instead of an answer."""


class PostgresSession:
    def __init__(self, ref: DatabaseRef, driver: Connection, *, patience: float) -> None:
        """`patience` is how long a transaction waits for the writers' lock, however long it may take itself."""
        self._ref = ref
        self._driver = driver
        self._patience = patience
        self._units: UnitConnection | None = None
        self._writes = False
        self._converge = False
        self._has_marks = False
        self._was_used = False
        self.version: int | None = None
        self.mark: str | None = None

    @property
    def units(self) -> UnitConnection:
        if self._units is None:
            self._units = UnitConnection(self._driver, shared_postgresql())
        return self._units

    @property
    def plain(self) -> None:
        return None

    @property
    def is_lost(self) -> bool:
        return not self._driver.in_transaction

    def begin(self, *, writes: bool, until: float, converge: bool = False, foreign_keys: bool = True) -> None:
        """`foreign_keys` makes no difference: no table is rebuilt here to be altered. A connection that ended while
        nobody used it, because the server was started anew, is replaced."""
        try:
            self._begin(writes, until, converge)
        except psycopg.OperationalError as error:
            if not self._was_used or _is_answer(error) or time.monotonic() >= until:
                raise
            self.close()
            self._driver, self._units = _connected(self._ref, until), None
            self._begin(writes, until, converge)
        self._was_used = True

    def _begin(self, writes: bool, until: float, converge: bool) -> None:
        self._writes, self._converge = writes, converge
        self.version = self.mark = None
        self._driver.until = until
        try:
            row = self._last_row(self._beginning(until, writes, converge))
        except (errors.UndefinedTable, errors.UndefinedColumn) as error:
            raise DatabaseCorrupt from error
        except errors.ReadOnlySqlTransaction as error:  # a standby
            raise DatabaseUnavailable from error
        if row is None:
            raise DatabaseCorrupt
        owner, incarnation, version, self._has_marks = row
        self._ref.check(owner, incarnation)
        self.version = version
        if writes and self._has_marks:
            self.mark = secrets.token_hex(16)

    def reach(self) -> None:
        """`begin` leaves nothing unsent."""

    def was_committed(self, mark: str) -> bool:
        if not self._has_marks:
            raise DatabaseUnavailable
        asked = self._driver.execute("SELECT FROM transaction_marks WHERE id = $1", (mark,))
        return asked.fetchone() is not None

    def commit(self) -> int | None:
        if not self._writes:
            self._driver.execute("COMMIT")
            return self.version
        try:
            row = self._last_row(_ending(self._ref.roll, self.mark, self._converge))
        except psycopg.Error as error:
            if _is_answer(error):
                raise
            raise CommitUnanswered from error
        assert row is not None
        self.version = int(row[0])
        return self.version

    def rollback(self) -> None:
        match self._driver.info.transaction_status:
            case TransactionStatus.IDLE:
                return
            case TransactionStatus.INTRANS | TransactionStatus.INERROR:
                self._driver.until = time.monotonic() + ANSWER_SECONDS
                self._driver.execute("ROLLBACK")
            case _:
                raise DatabaseUnavailable

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._driver.close()

    def _beginning(self, until: float, writes: bool, converge: bool) -> list[str]:
        roll, milliseconds = self._ref.roll, _milliseconds(until - time.monotonic())
        level = "READ COMMITTED READ WRITE" if writes else "REPEATABLE READ READ ONLY"
        return [
            f"BEGIN ISOLATION LEVEL {level}",
            f"SET LOCAL statement_timeout = {milliseconds}",
            f"SET LOCAL lock_timeout = {min(milliseconds, _milliseconds(self._patience))}",
            f"SET LOCAL idle_in_transaction_session_timeout = {max(milliseconds, FORGOTTEN_MS)}",
            *([f"SELECT pg_advisory_xact_lock({ONE_WRITER})"] if writes else ()),
            *([roll.start_converging] if converge else ()),
            f"SELECT id, incarnation, {roll.version}, {_HAS_MARKS} FROM {roll.table}",
        ]

    def _last_row(self, steps: list[str]) -> tuple[Any, ...] | None:
        """Of all the steps, which travel together, the last one that has rows."""
        cursor, row = self._driver.execute("; ".join(steps)), None
        while True:
            if cursor.description is not None:
                row = cursor.fetchone()
            if not cursor.nextset():
                return row


class PostgresDriver:
    def open(self, ref: DatabaseRef, *, until: float) -> PostgresSession:
        patience = until - time.monotonic()
        return PostgresSession(ref, _connected(ref, until), patience=patience)

    def fault(self, error: BaseException) -> Fault | None:
        if isinstance(error, CommitUnanswered):
            return Fault(error=DatabaseUnavailable(), again=True, unknown=True, unanswered=True)
        origin = _origin(error)
        if not isinstance(origin, psycopg.Error):
            return None
        if origin.sqlstate is None:
            return _LOST if isinstance(origin, psycopg.OperationalError) else None
        return _FAULTS.get(origin.sqlstate) or _FAULTS.get(origin.sqlstate[:2])

    def raised(self, error: Exception) -> Exception:
        if not isinstance(error, psycopg.Error):
            return error
        told = DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True)
        told.__cause__ = error
        return told

    def close(self) -> None:
        pass


def conninfo(server: Remote) -> str:
    """The address as the operator wrote it, with what is this database's own."""
    own = {"dbname": server.name, "user": server.user, "password": server.secret}
    return make_conninfo(server.url, **{name: value for name, value in own.items() if value})


def _ending(roll: Roll, mark: str | None, converge: bool) -> list[str]:
    return [
        *([roll.stop_converging] if converge else ()),
        *(_marking(mark) if mark is not None else ()),
        roll.select_version,
        "COMMIT",
    ]


def _marking(mark: str) -> list[str]:
    """None for a transaction that wrote nothing: it may as well be run again."""
    now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
    written = "pg_current_xact_id_if_assigned() IS NOT NULL"
    steps = [f"INSERT INTO transaction_marks (id, created_at) SELECT '{mark}', {now} WHERE {written}"]
    if secrets.randbelow(_SWEEP_ONE_IN) == 0:
        steps.append(f"DELETE FROM transaction_marks WHERE created_at < {now} - {MARKS_KEPT_MS}")
    return steps


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _connected(ref: DatabaseRef, until: float) -> Connection:
    try:
        return connect(conninfo(ref.server), until=until)
    except psycopg.OperationalError as error:
        refused = _refused_at_the_door(str(error))
        if refused is None:
            raise
        raise refused from error


def _refused_at_the_door(text: str) -> DatabaseUnavailable | None:
    """What a server says instead of letting one in; there are no codes before there is a connection. None if it said
    nothing, or will let one in soon."""
    if "FATAL" not in text or any(words in text for words in _SOON):
        return None
    if "does not exist" in text:
        return DatabaseMissing()
    if any(words in text for words in _CROWDED):
        return DatabaseCrowded()
    return DatabaseUnavailable()


def _origin(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _is_answer(error: psycopg.Error) -> bool:
    """Whether the server refused, and so kept nothing; a server that goes down may have kept it first."""
    if isinstance(error, errors.QueryCanceled):
        return True
    return error.sqlstate is not None and error.sqlstate[:2] not in ("08", "57")


_SOON = ("starting up", "shutting down", "recovery mode", "not yet accepting connections")
_CROWDED = ("too many", "connection slots")

_LOST = Fault(error=DatabaseUnavailable(), again=True, unanswered=True)
_FAULTS = {
    "08": _LOST,  # connection
    "57": _LOST,  # the server goes down, or comes up
    "57014": Fault(error=DatabaseBusy()),  # statement_timeout
    "25P03": Fault(error=DatabaseUnavailable(), again=True),  # idle_in_transaction_session_timeout
    "40": Fault(error=DatabaseBusy(), again=True),  # could not be serialized, deadlock
    "55P03": Fault(error=DatabaseBusy()),  # lock_timeout
    "53": Fault(error=DatabaseBusy()),  # out of memory
    "53300": Fault(error=DatabaseCrowded()),
    "53100": Fault(error=DatabaseFull()),
    "58": Fault(error=DatabaseUnavailable()),  # the server's own disk
    "XX001": Fault(error=DatabaseCorrupt()),
    "XX002": Fault(error=DatabaseCorrupt()),
}
"""By class of error or by error."""
