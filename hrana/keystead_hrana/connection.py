"""A DB-API connection (PEP 249) to one database of a Hrana server, over HTTP.

Nothing is sent on connect. Without `begin` each statement is a transaction of its own, in one request; `begin` says
that a transaction starts, and is sent with its first statement.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from keystead_hrana.cursor import Cursor, Outcome
from keystead_hrana.errors import (
    CommitUnknown,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    ResponseTooLarge,
    StreamLost,
    Warning,  # noqa: A004 - PEP 249 names it so
)
from keystead_hrana.http import Origin, Sockets
from keystead_hrana.statements import counts_rows, is_about_the_transaction, may_run_in_a_read, only_reads
from keystead_hrana.stream import Server, Stream, Token
from keystead_hrana.transaction import STORED, Last, Mode, Prelude, Transaction
from keystead_hrana.wire import CLOSE, Answer, Parameters, Result, Step, execute, sequence

_SHARED = Sockets()
_ROWS_IN_A_REQUEST = 1_000
_BYTES_IN_A_REQUEST = 2_000_000


def connect(
    url: str,
    namespace: str | None = None,
    token: Token = None,
    *,
    connect_timeout: float = 5.0,
    timeout: float = 30.0,
    deadline: float | None = None,
    autocommit: bool = False,
    mode: Mode = "deferred",
    foreign_keys: bool = True,
    sockets: Sockets | None = None,
) -> "Connection":
    """`timeout` bounds each request in seconds; `deadline`, an instant of time.monotonic(), bounds them all.

    `autocommit`, `mode` and `foreign_keys` are for callers who leave `begin` to SQLAlchemy. Connections are kept open
    in the process and shared, unless `sockets` are given.
    """
    server = Server(Origin.of(url), namespace, token, connect_timeout, timeout, sockets or _SHARED)
    return Connection(server, deadline, autocommit=autocommit, mode=mode, foreign_keys=foreign_keys)


class Connection:
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

    def __init__(
        self,
        server: Server,
        deadline: float | None = None,
        *,
        autocommit: bool = False,
        mode: Mode = "deferred",
        foreign_keys: bool = True,
    ) -> None:
        self.deadline = deadline
        self.autocommit = autocommit
        self.mode: Mode = mode
        self.foreign_keys = foreign_keys
        self._stream = Stream(server)
        self._transaction: Transaction | None = None
        self._closed = False

    @property
    def in_transaction(self) -> bool:
        """Between `begin` and its end, unless the transaction was lost meanwhile."""
        return self._transaction is not None and self._transaction.is_alive

    def begin(
        self, mode: Mode = "deferred", preludes: Sequence[Prelude] = (), *, foreign_keys: bool = True
    ) -> None:
        """Start a transaction with the next statement; nothing is sent yet.

        Each prelude is a statement that runs between BEGIN and that statement, in the same request, and a function
        that gets its rows and may raise to give up. A "read" is never committed.
        """
        self._check_open()
        if self._transaction is not None:
            raise ProgrammingError("a transaction is under way")
        self._transaction = Transaction(self._stream, mode, preludes, foreign_keys=foreign_keys)

    def commit(self, last: Sequence[Last] = ()) -> None:
        """Commit, after these statements, in one request; their rows are told once all is kept."""
        self._check_open()
        transaction = self._transaction
        if transaction is None:
            if last:
                raise ProgrammingError("there is no transaction")
            return
        for sql, _, _ in last:
            self._check_statement(sql)
        self._check_alive(transaction)
        transaction.commit(last, self.deadline)
        self._transaction = None

    def rollback(self) -> None:
        self._check_open()
        self._abandon()

    def close(self) -> None:
        self._abandon()
        self._closed = True

    def cursor(self) -> Cursor:
        self._check_open()
        return Cursor(self)

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> Cursor:
        return self.cursor().executemany(sql, rows)

    def executescript(self, script: str) -> Cursor:
        return self.cursor().executescript(script)

    def run(self, sql: str, parameters: Parameters) -> Outcome:
        self._check_statement(sql)
        step = Step(sql, tuple(parameters))
        if self._transaction is None:
            return _outcome(sql, [self._alone(step)])
        self._check_alive(self._transaction)
        return _outcome(sql, self._transaction.run([step], self.deadline))

    def run_many(self, sql: str, rows: Iterable[Parameters]) -> Outcome:
        """All or nothing, also outside a transaction."""
        self._check_statement(sql)
        portions = _portions([Step(STORED, tuple(row), wants_rows=False) for row in rows])
        if not portions:
            return _outcome(sql, [])
        if self._transaction is not None:
            self._check_alive(self._transaction)
            return _outcome(sql, self._portions_run(self._transaction, sql, portions))
        self.begin("immediate")
        try:
            transaction = self._transaction
            assert transaction is not None
            results = self._portions_run(transaction, sql, portions[:-1])
            results += transaction.commit((), self.deadline, portions[-1], sql)
            return _outcome(sql, results)
        finally:
            self._abandon()

    def run_script(self, script: str) -> None:
        """Outside a transaction the script may hold one of its own."""
        self._check_open()
        if self._transaction is not None:
            self._check_alive(self._transaction)
            self._transaction.run_script(script, self.deadline)
            return
        said = self._stream.send([sequence(script), CLOSE], deadline=self.deadline, commits=True)
        _raise_error(said.answers[0])

    def _alone(self, step: Step) -> Result:
        commits = not only_reads(str(step.sql))
        said = self._stream.send([execute(step), CLOSE], deadline=self.deadline, commits=commits)
        answer = said.answers[0]
        if commits and isinstance(answer, ResponseTooLarge):
            raise CommitUnknown.because(answer) from answer
        _raise_error(answer)
        assert isinstance(answer, Result)
        return answer

    def _portions_run(self, within: Transaction, sql: str, portions: list[list[Step]]) -> list[Result]:
        return [result for steps in portions for result in within.run(steps, self.deadline, sql)]

    def _abandon(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.abandon(self.deadline)

    def _check_open(self) -> None:
        if self._closed:
            raise ProgrammingError("the connection is closed")

    def _check_alive(self, transaction: Transaction) -> None:
        if not transaction.is_alive:
            raise StreamLost("the transaction was lost; roll back before anything else")

    def _check_statement(self, sql: str) -> None:
        self._check_open()
        if is_about_the_transaction(sql):
            raise ProgrammingError("transactions are begun and ended by begin(), commit() and rollback()")
        reads = self._transaction is not None and self._transaction.mode == "read"
        if reads and not may_run_in_a_read(sql):
            raise OperationalError("attempt to write a readonly database", code="SQLITE_READONLY")

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


def _raise_error(answer: Answer) -> None:
    if isinstance(answer, Error):
        raise answer


def _outcome(sql: str, results: list[Result]) -> Outcome:
    last = results[-1] if results else Result((), [], 0, None)
    return Outcome(
        columns=last.columns,
        rows=last.rows,
        affected=sum(result.affected for result in results) if counts_rows(sql) else -1,
        last_rowid=last.last_rowid,
    )


def _portions(steps: list[Step]) -> list[list[Step]]:
    """As many requests as it takes for none to be too large."""
    portions: list[list[Step]] = []
    size = 0
    for step in steps:
        size += 100 + sum(_size(each) for each in step.parameters)
        if not portions or len(portions[-1]) >= _ROWS_IN_A_REQUEST or size > _BYTES_IN_A_REQUEST:
            portions.append([])
            size = 0
        portions[-1].append(step)
    return portions


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | bytearray | memoryview) else 20
