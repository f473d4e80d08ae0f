"""The other transport: libsql-client's DB-API over a WebSocket, for servers of one's own (Hrana 2).

The same connection with less in it. Statements go one by one, so a transaction costs a request for BEGIN and one for
COMMIT. The server is not asked whether the transaction still stands, so after an error in one nothing runs but what
returns to a savepoint. A script cannot be a part of a transaction. Where libsql-client has no public word for what is
needed (a time for one statement, a header, the end of its thread), its attributes are used: it is archived and pinned.
"""

import base64
import gc
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import aiohttp

from keystead_hrana.cursor import Outcome
from keystead_hrana.dbapi import BEGIN, BaseConnection, Last, Mode, Parameters, Prelude
from keystead_hrana.errors import (
    LOST,
    CommitUnknown,
    DataError,
    Error,
    NotSent,
    NotSupportedError,
    ProgrammingError,
    StreamLost,
    Unauthorized,
    is_refused_commit,
    statement_error,
)
from keystead_hrana.http import Origin
from keystead_hrana.statements import counts_rows, only_reads, returns_to_a_savepoint
from keystead_hrana.stream import Token, bearer, checked_namespace
from keystead_hrana.values import encode

with (
    warnings.catch_warnings()
):  # its import asks for a deprecated version, and leaves a database to the collector
    warnings.simplefilter("ignore")
    from libsql_client import LibsqlError, dbapi2
    from libsql_client.dbapi2.hrana import ConnectionHrana, run_in_executor

    gc.collect()

T = TypeVar("T")

_SECONDS_TO_CLOSE = 1.0

_PLAIN = {"ws": "http", "wss": "https"}
_FAILURES = (sqlite3.Error, LibsqlError, aiohttp.ClientError, OSError, TypeError)
_BROKEN = frozenset(
    [
        "HRANA_WEBSOCKET_ERROR",
        "HRANA_PROTO_ERROR",
        "CLIENT_CLOSED",
        "STREAM_CLOSED",
        "SQLITE_CANTOPEN",
        "SQLITE_IOERR",
    ]
)


class LibsqlTransaction:
    def __init__(self, mode: Mode, preludes: Sequence[Prelude], *, foreign_keys: bool) -> None:
        self.mode = mode
        self.preludes = tuple(preludes)
        self.foreign_keys = foreign_keys
        self.begun = False
        self.is_alive = True
        self.refused = False
        """A statement failed, and it is not known whether the transaction outlived that."""


class LibsqlConnection(BaseConnection):
    def __init__(
        self,
        url: str,
        namespace: str | None,
        token: Token,
        *,
        timeout: float = 30.0,
        deadline: float | None = None,
        autocommit: bool = False,
        mode: Mode = "deferred",
        foreign_keys: bool = True,
    ) -> None:
        super().__init__(deadline=deadline, autocommit=autocommit, mode=mode, foreign_keys=foreign_keys)
        self._url = _websocket_url(url)
        self._namespace = checked_namespace(namespace)
        self._token = token
        self._timeout = timeout
        self._driver: ConnectionHrana | None = None
        self._transaction: LibsqlTransaction | None = None

    def begin(
        self, mode: Mode = "deferred", preludes: Sequence[Prelude] = (), *, foreign_keys: bool = True
    ) -> None:
        self._check_may_begin()
        self._transaction = LibsqlTransaction(mode, preludes, foreign_keys=foreign_keys)

    def commit(self, last: Sequence[Last] = ()) -> None:
        self._check_may_run(*(sql for sql, _, _ in last))
        transaction = self._transaction
        if transaction is None:
            if last:
                raise ProgrammingError("there is no transaction")
            return
        outcomes = [self._run_inside(transaction, sql, parameters) for sql, parameters, _ in last]
        if transaction.begun and transaction.mode != "read":
            self._commit(transaction)
            self._transaction = None
        else:
            self._abandon()
        for (_, _, tell), outcome in zip(last, outcomes, strict=True):
            if tell is not None:
                tell(outcome.rows)

    def rollback(self) -> None:
        self._check_open()
        self._abandon()

    def close(self) -> None:
        self._transaction = None
        self._drop()
        self._closed = True

    def run(self, sql: str, parameters: Parameters) -> Outcome:
        self._check_may_run(sql)
        if self._transaction is None:
            return self._execute(sql, parameters, commits=not only_reads(sql))
        return self._run_inside(self._transaction, sql, parameters)

    def run_many(self, sql: str, rows: Iterable[Parameters]) -> Outcome:
        self._check_may_run(sql)
        all_rows = [_checked(row) for row in rows]
        if not all_rows:
            return Outcome((), [], 0 if counts_rows(sql) else -1, None)
        if self._transaction is not None:
            return self._many_inside(self._transaction, sql, all_rows)
        self._transaction = LibsqlTransaction("immediate", (), foreign_keys=True)
        try:
            outcome = self._many_inside(self._transaction, sql, all_rows)
            self._commit(self._transaction)
        except BaseException:
            self._abandon()
            raise
        self._transaction = None
        return outcome

    def run_script(self, script: str) -> None:
        """Its cursor says COMMIT before a script."""
        self._check_may_run()
        if self._transaction is not None:
            raise NotSupportedError(
                "libsql-client commits before a script: it cannot be part of a transaction"
            )
        self._call(lambda driver: driver.cursor().executescript(script), commits=True)

    def _current(self) -> LibsqlTransaction | None:
        return self._transaction

    def _run_inside(self, transaction: LibsqlTransaction, sql: str, parameters: Parameters) -> Outcome:
        self._open(transaction)
        if transaction.refused and not returns_to_a_savepoint(sql):
            raise ProgrammingError("a statement was refused: return to a savepoint, or roll back")
        outcome = self._inside(transaction, lambda: self._execute(sql, parameters, commits=False))
        transaction.refused = False
        return outcome

    def _many_inside(self, transaction: LibsqlTransaction, sql: str, rows: list[list[object]]) -> Outcome:
        self._open(transaction)
        if transaction.refused:
            raise ProgrammingError("a statement was refused: return to a savepoint, or roll back")

        def work(driver: ConnectionHrana) -> Outcome:
            cursor = driver.cursor()
            cursor.executemany(sql, rows)
            return Outcome((), [], cursor.rowcount if counts_rows(sql) else -1, cursor.lastrowid)

        return self._inside(transaction, lambda: self._call(work, commits=False))

    def _open(self, transaction: LibsqlTransaction) -> None:
        if transaction.begun:
            return
        transaction.begun = True
        try:
            if not transaction.foreign_keys:
                self._execute("PRAGMA foreign_keys=OFF", (), commits=False)
            self._execute(BEGIN[transaction.mode], (), commits=False)
            for sql, tell in transaction.preludes:
                tell(self._execute(sql, (), commits=False).rows)
        except BaseException:
            self._lose(transaction)
            raise

    def _inside(self, transaction: LibsqlTransaction, work: Callable[[], Outcome]) -> Outcome:
        try:
            return work()
        except LOST:
            self._lose(transaction)
            raise
        except Error:
            transaction.refused = True
            raise

    def _commit(self, transaction: LibsqlTransaction) -> None:
        if transaction.refused:
            raise ProgrammingError("a statement was refused: return to a savepoint, or roll back")
        try:
            self._execute("COMMIT", (), commits=True)
        except Error as error:
            self._lose(transaction)
            if "no transaction is active" in str(error):
                raise StreamLost("the transaction ended before its COMMIT", sent=True) from error
            if isinstance(error, LOST) or is_refused_commit(error):
                raise
            raise CommitUnknown.because(error) from error
        if not transaction.foreign_keys:
            self._drop()  # the setting is the stream's

    def _abandon(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is None or not transaction.begun or not transaction.is_alive:
            return
        try:
            self._execute("ROLLBACK", (), commits=False)
        except Error:
            self._drop()
        if not transaction.foreign_keys:
            self._drop()

    def _lose(self, transaction: LibsqlTransaction) -> None:
        """The server rolls back when the connection ends, whatever state it is in."""
        transaction.is_alive = False
        self._drop()

    def _drop(self) -> None:
        driver, self._driver = self._driver, None
        if driver is None:
            return
        driver._timeout = _SECONDS_TO_CLOSE
        with suppress(*_FAILURES):
            driver.close()
        if driver._executor is not None:  # the server did not answer: its thread ends all the same
            driver._executor.shutdown()
            driver._executor = None

    def _execute(self, sql: str, parameters: Parameters, *, commits: bool) -> Outcome:
        values = _checked(parameters)

        def work(driver: ConnectionHrana) -> Outcome:
            cursor = driver.cursor()
            cursor.execute(sql, values)
            columns = tuple(column[0] for column in cursor.description or ())
            rows = [tuple(row) for row in cursor.fetchall()] if columns else []
            return Outcome(columns, rows, cursor.rowcount if counts_rows(sql) else -1, cursor.lastrowid)

        return self._call(work, commits=commits)

    def _call(self, work: Callable[[ConnectionHrana], T], *, commits: bool) -> T:
        is_new = self._driver is None
        try:
            return self._called(work, commits=commits)
        except Unauthorized:
            if not is_new or not callable(self._token):
                raise
        return self._called(work, commits=commits)  # with a new token

    def _called(self, work: Callable[[ConnectionHrana], T], *, commits: bool) -> T:
        driver = self._driver or self._connected()
        if (seconds := self._remaining()) <= 0:
            raise StreamLost("the time is over") if self._is_begun() else NotSent("the time is over")
        driver._timeout = seconds
        try:
            return work(driver)
        except _FAILURES as failure:
            error = _translated(failure, commits)
            if isinstance(error, StreamLost | CommitUnknown | Unauthorized):
                self._drop()
            raise error from failure

    def _connected(self) -> ConnectionHrana:
        if (timeout := self._remaining()) <= 0:
            raise NotSent("the time is over")
        try:
            driver = dbapi2.connect(
                self._url,
                timeout=timeout,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
                factory=_with_namespace(self._namespace),
                auth_token=bearer(self._token),
            )
        except _FAILURES as failure:
            raise NotSent(f"no connection: {failure or type(failure).__name__}") from failure
        self._driver = driver
        return driver

    def _remaining(self) -> float:
        if self.deadline is None:
            return self._timeout
        return min(self._timeout, self.deadline - time.monotonic())

    def _is_begun(self) -> bool:
        return self._transaction is not None and self._transaction.begun


def _with_namespace(namespace: str | None) -> Any:
    """libsql-client has no word for a namespace; the server takes it from a header of the handshake."""
    if namespace is None:
        return ConnectionHrana
    headers = {"x-namespace-bin": base64.b64encode(namespace.encode()).rstrip(b"=").decode("ascii")}

    class Namespaced(ConnectionHrana):  # type: ignore[misc]
        @run_in_executor  # type: ignore[untyped-decorator]
        def _acquire_session(self) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(headers=headers)

    return Namespaced


def _websocket_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    origin = Origin.of(f"{_PLAIN.get(scheme, scheme)}{separator}{rest}")
    return f"{'wss' if origin.scheme == 'https' else 'ws'}://{origin.authority}{origin.path}"


def _checked(parameters: Parameters) -> list[object]:
    """libsql-client would change some values silently: a date into milliseconds, for one."""
    for each in parameters:
        encode(each)
    return list(parameters)


def _translated(failure: BaseException, commits: bool) -> Error:
    if isinstance(failure, TypeError):
        return DataError("the database holds a number that is not finite, which the server cannot send")
    code = getattr(failure, "sqlite_errorname", None) or getattr(failure, "code", None)
    sentence = str(failure).removeprefix(f"{code}: ") or type(failure).__name__
    if code is None and isinstance(failure, sqlite3.ProgrammingError):
        return ProgrammingError(sentence)
    if code is None or code in _BROKEN or not isinstance(failure, sqlite3.Error | LibsqlError):
        return (CommitUnknown if commits else StreamLost)(sentence, sent=True)
    return statement_error(sentence, code, None)
