"""libSQL servers and Turso, over Hrana: a transaction is one stream, and asks nothing that could travel along.

BEGIN, the question whose database it is and the unit's first statement are one request; the mark, the version and
COMMIT are another.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, cast

import msgspec
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import LRUCache

import keystead_hrana as hrana
from core.database.engine import (
    COMPILED_STATEMENTS,
    LaneRules,
    Shared,
    UnitConnection,
    fetch_together,
    to_json,
    write_later,
)
from core.database.faults import UnitBroken
from core.database.plain import Plain
from core.database.refs import DatabaseRef
from core.database.remote import marks
from core.database.remote.session import Fault
from core.database.tokens import bearer
from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseMissing,
    DatabaseUnavailable,
    OutcomeUnknown,
    WrongDatabase,
)
from core.failpoints import failpoint
from keystead_hrana.dialect import HranaDialect
from keystead_hrana.opening import Transport
from keystead_hrana.statements import is_about_the_transaction

CONNECT_SECONDS = 3.0
REQUEST_SECONDS = 10.0
"""For one request of those that have more time altogether: migrations and copies."""

_ATTACHES = re.compile(r"\s*(?:attach|detach)\b", re.IGNORECASE)
_NOT_OURS = re.compile(r"no such table: (?:tenant|installation)\b")

Rows = Sequence[tuple[Any, ...]]


class HranaLaneDialect(LaneRules, HranaDialect):
    supports_statement_cache = True
    write = staticmethod(write_later)
    fetch_all = staticmethod(fetch_together)

    def do_begin(self, dbapi_connection: Any) -> None:
        pass

    def do_commit(self, dbapi_connection: Any) -> None:
        raise UnitBroken

    def do_rollback_to_savepoint(self, connection: Any, name: str) -> None:
        connection.connection.driver_connection.drop_waiting()
        super().do_rollback_to_savepoint(connection, name)  # type: ignore[no-untyped-call]

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        refuse_ending(statement)
        super().do_execute(cursor, statement, parameters, context)

    def do_execute_no_params(self, cursor: Any, statement: Any, context: Any = None) -> None:
        refuse_ending(statement)
        super().do_execute_no_params(cursor, statement, context)


def refuse_ending(statement: str) -> None:
    if is_about_the_transaction(statement) or _ATTACHES.match(statement):
        raise UnitBroken


@cache
def shared_hrana() -> Shared:
    """What `dialect.initialize` would ask the server for is said here: no server is needed to compile."""
    dialect = HranaLaneDialect(
        dbapi=cast(Any, hrana), json_serializer=to_json, json_deserializer=msgspec.json.decode
    )
    dialect.server_version_info = hrana.sqlite_version_info
    dialect.default_schema_name = "main"
    return Shared(dialect, URL.create("sqlite+hrana"), LRUCache(COMPILED_STATEMENTS))


class HranaSession:
    def __init__(self, ref: DatabaseRef, driver: hrana.BaseConnection) -> None:
        self._ref = ref
        self._driver = driver
        self._has_marks = False
        self._converges = False
        self._mark = ""
        self.version: int | None = None
        self.units = UnitConnection(driver, shared_hrana())

    @property
    def plain(self) -> Plain:
        return Plain(self._driver, hrana.IntegrityError)

    @property
    def is_lost(self) -> bool:
        return not self._driver.in_transaction

    @property
    def mark(self) -> str | None:
        return self._mark if self._has_marks else None

    def begin(self, *, writes: bool, until: float, converge: bool = False, foreign_keys: bool = True) -> None:
        self.version = None
        self._mark = marks.new_mark()
        self._converges = converge
        self._driver.deadline = until
        preludes: list[tuple[str, Any]] = [(self._ref.roll.select_whole, self._identify)]
        if writes and not self._has_marks:
            preludes.append((marks.IS_THERE, self._look_for_marks))
        if converge:
            preludes.append((self._ref.roll.start_converging, lambda _: None))
        self._driver.begin("immediate" if writes else "read", preludes, foreign_keys=foreign_keys)

    def reach(self) -> None:
        self._driver.execute("SELECT 1")

    def was_committed(self, mark: str) -> bool:
        row = self._driver.execute(marks.FIND, (mark,)).fetchone()
        return row is not None and row[0] == 1

    def commit(self) -> int | None:
        if self.version is None:
            if not self._driver.waits:  # no statement was run
                self.rollback()
                return None
            self._driver.send_waiting()
        last: list[tuple[str, tuple[object, ...], Any]] = []
        if self._converges:
            last.append((self._ref.roll.stop_converging, (), None))
        if self._has_marks:
            last += marks.put(self._mark)
        failpoint("database.before_commit")
        self._driver.commit([*last, (self._ref.roll.select_version, (), self._see)])
        failpoint("database.after_commit")
        return self.version

    def rollback(self) -> None:
        self._driver.rollback()

    def close(self) -> None:
        with suppress(hrana.Error):
            self._driver.close()
        self.units.close()

    def _identify(self, rows: Rows) -> None:
        if not rows:
            raise DatabaseCorrupt
        owner, incarnation, version = rows[0]
        self._ref.check(owner, incarnation)
        self.version = int(version)

    def _look_for_marks(self, rows: Rows) -> None:
        self._has_marks = rows[0][0] == 1

    def _see(self, rows: Rows) -> None:
        self.version = int(rows[0][0])


class HranaDriver:
    def __init__(self, transport: Transport = "http") -> None:
        self._transport = transport
        self._sockets = hrana.Sockets()
        self._bearer = lru_cache(1024)(bearer)

    def open(self, ref: DatabaseRef, *, until: float) -> HranaSession:
        """Nothing is sent: what is wrong shows with the first unit."""
        remote = ref.server
        driver = hrana.connect(
            remote.url,
            None if remote.is_alone else remote.name,
            self._bearer(remote.secret, remote.name) if remote.secret else None,
            connect_timeout=CONNECT_SECONDS,
            timeout=REQUEST_SECONDS,
            sockets=self._sockets,
            transport=self._transport,
        )
        return HranaSession(ref, driver)

    def fault(self, error: BaseException) -> Fault | None:
        origin = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(origin, hrana.Error):
            return None
        match origin:
            case hrana.CommitUnknown():
                return Fault(error=OutcomeUnknown(), again=True, unknown=True, unanswered=True)
            case hrana.NotSent():
                return Fault(error=DatabaseUnavailable(), again=True, unanswered=True)
            case hrana.StreamLost():
                return Fault(error=DatabaseUnavailable(), again=True, unanswered=_is_silence(origin))
            case hrana.Busy():
                return Fault(error=DatabaseBusy(), again=True, unanswered=_is_silence(origin))
            case hrana.Blocked():  # by a move, an operator or a quota: the pointer says which
                return Fault(error=WrongDatabase())
            case hrana.NamespaceMissing():
                return Fault(error=DatabaseMissing())
            case hrana.Unauthorized():
                return Fault(error=DatabaseUnavailable())
        if _NOT_OURS.search(str(origin)):
            return Fault(error=DatabaseCorrupt())
        return Fault(error=DatabaseUnavailable()) if (origin.code or "").startswith("HTTP_") else None

    def raised(self, error: Exception) -> Exception:
        if not isinstance(error, hrana.Error):
            return error
        dialect = shared_hrana().dialect
        told = DBAPIError.instance(
            "a prepared statement", None, error, hrana.Error, hide_parameters=True, dialect=dialect
        )
        told.__cause__ = error
        return told

    def close(self) -> None:
        self._sockets.close()


def _is_silence(error: hrana.Error) -> bool:
    """No answer came, or one of a gateway before the server."""
    return error.__cause__ is not None or (error.code or "").startswith("HTTP_5")
