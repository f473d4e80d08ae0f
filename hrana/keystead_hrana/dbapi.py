"""What every connection of this driver is (PEP 249), whatever carries its statements."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Literal, Protocol, Self

from keystead_hrana.cursor import Cursor, Outcome, Row
from keystead_hrana.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StreamLost,
    Warning,  # noqa: A004 - PEP 249 names it so
)
from keystead_hrana.statements import is_about_the_transaction, may_run_in_a_read

Mode = Literal["deferred", "immediate", "read"]
Parameters = Sequence[object]
Rows = Callable[[list[Row]], None]
Prelude = tuple[str, Rows]
Last = tuple[str, Parameters, Rows | None]

BEGIN: dict[Mode, str] = {"deferred": "BEGIN", "immediate": "BEGIN IMMEDIATE", "read": "BEGIN READONLY"}
TAKEN_AWAY = "the transaction was taken away by the server"


class BegunTransaction(Protocol):
    @property
    def mode(self) -> Mode: ...
    @property
    def is_alive(self) -> bool: ...


class BaseConnection(ABC):
    """Without `begin` each statement is a transaction of its own."""

    Warning = Warning
    Error = Error
    InterfaceError = InterfaceError
    DatabaseError = DatabaseError
    DataError = DataError
    OperationalError = OperationalError
    IntegrityError = IntegrityError
    InternalError = InternalError
    ProgrammingError = ProgrammingError
    NotSupportedError = NotSupportedError

    def __init__(self, *, deadline: float | None, autocommit: bool, mode: Mode, foreign_keys: bool) -> None:
        self.deadline = deadline
        """An instant of time.monotonic(), which no request outlasts; to be set for each transaction."""

        self.autocommit = autocommit
        self.mode: Mode = mode
        self.foreign_keys = foreign_keys
        self._closed = False

    @property
    def in_transaction(self) -> bool:
        """Between `begin` and its end, unless the transaction was lost meanwhile."""
        transaction = self._current()
        return transaction is not None and transaction.is_alive

    @abstractmethod
    def begin(
        self, mode: Mode = "deferred", preludes: Sequence[Prelude] = (), *, foreign_keys: bool = True
    ) -> None:
        """Start a transaction with the next statement; nothing is sent yet.

        Each prelude is a statement that runs between BEGIN and that statement, and a function that gets its rows and
        may raise to give up. A "read" is never committed.
        """

    @abstractmethod
    def commit(self, last: Sequence[Last] = ()) -> None:
        """Commit, after these statements; their rows are told once all is kept."""

    @abstractmethod
    def rollback(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def run(self, sql: str, parameters: Parameters) -> Outcome: ...

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Parameters]) -> Outcome:
        """All or nothing, also outside a transaction."""

    @abstractmethod
    def run_script(self, script: str) -> None:
        """Outside a transaction the script may hold one of its own."""

    def cursor(self) -> Cursor:
        self._check_open()
        return Cursor(self)

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> Cursor:
        return self.cursor().executemany(sql, rows)

    def executescript(self, script: str) -> Cursor:
        return self.cursor().executescript(script)

    def execute_later(self, sql: str, parameters: Parameters = ()) -> None:
        """Inside a transaction: a statement of which no rows are wanted, sent with the next one or with COMMIT.

        That one raises what this one breaks. A transport that cannot wait executes it at once.
        """
        self.execute(sql, parameters)

    def fetch_together(self, asked: Sequence[tuple[str, Parameters]]) -> list[list[Row]]:
        """The rows of each of these statements; inside a transaction they are one request where the transport can."""
        return [self.execute(sql, parameters).fetchall() for sql, parameters in asked]

    @property
    def waits(self) -> bool:
        """Whether there are statements that were not sent yet."""
        return False

    def send_waiting(self) -> None:
        """Begins the transaction, too, if nothing was sent yet."""
        assert not self.waits

    def drop_waiting(self) -> None:
        """They are never sent: what they belong to is undone."""
        assert not self.waits

    @abstractmethod
    def _current(self) -> BegunTransaction | None: ...

    def _check_may_begin(self) -> None:
        self._check_open()
        if self._current() is not None:
            raise ProgrammingError("a transaction is under way")

    def _check_may_run(self, *statements: str) -> None:
        self._check_open()
        transaction = self._current()
        for sql in statements:
            if is_about_the_transaction(sql):
                raise ProgrammingError("transactions are begun and ended by begin(), commit() and rollback()")
            if transaction is not None and transaction.mode == "read" and not may_run_in_a_read(sql):
                raise OperationalError("attempt to write a readonly database", code="SQLITE_READONLY")
        if transaction is not None and not transaction.is_alive:
            raise StreamLost("the transaction was lost; roll back before anything else")

    def _check_open(self) -> None:
        if self._closed:
            raise ProgrammingError("the connection is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As sqlite3's: commit or roll back, and stay open."""
        if exception_type is None:
            self.commit()
        else:
            self.rollback()
