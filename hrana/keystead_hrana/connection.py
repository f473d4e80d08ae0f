"""A connection to one database of a Hrana server over HTTP: at most one stream, opened by what needs it.

A statement outside a transaction is one request. `begin` is sent with the transaction's first statement, and COMMIT
with what ends the stream.
"""

from collections.abc import Iterable, Sequence

from keystead_hrana.cursor import Outcome, Row
from keystead_hrana.dbapi import BaseConnection, Last, Mode, Parameters, Prelude
from keystead_hrana.errors import CommitUnknown, Error, ProgrammingError, ResponseTooLarge
from keystead_hrana.statements import counts_rows, only_reads
from keystead_hrana.stream import Server, Stream
from keystead_hrana.transaction import STORED, Transaction
from keystead_hrana.wire import CLOSE, Result, Step, execute, sequence

_ROWS_IN_A_REQUEST = 1_000
_BYTES_IN_A_REQUEST = 2_000_000


class Connection(BaseConnection):
    def __init__(
        self,
        server: Server,
        *,
        deadline: float | None = None,
        autocommit: bool = False,
        mode: Mode = "deferred",
        foreign_keys: bool = True,
    ) -> None:
        super().__init__(deadline=deadline, autocommit=autocommit, mode=mode, foreign_keys=foreign_keys)
        self._stream = Stream(server)
        self._transaction: Transaction | None = None

    def begin(
        self, mode: Mode = "deferred", preludes: Sequence[Prelude] = (), *, foreign_keys: bool = True
    ) -> None:
        self._check_may_begin()
        self._transaction = Transaction(self._stream, mode, preludes, foreign_keys=foreign_keys)

    def commit(self, last: Sequence[Last] = ()) -> None:
        self._check_may_run(*(sql for sql, _, _ in last))
        if self._transaction is not None:
            self._transaction.commit(last, self.deadline)
            self._transaction = None
        elif last:
            raise ProgrammingError("there is no transaction")

    def rollback(self) -> None:
        self._check_open()
        self._abandon()

    def close(self) -> None:
        self._abandon()
        self._closed = True

    def run(self, sql: str, parameters: Parameters) -> Outcome:
        self._check_may_run(sql)
        step = Step(sql, tuple(parameters))
        if self._transaction is None:
            return _outcome(sql, [self._alone(step)])
        return _outcome(sql, self._transaction.run([step], self.deadline))

    def execute_later(self, sql: str, parameters: Parameters = ()) -> None:
        self._check_may_run(sql)
        if self._transaction is None:
            raise ProgrammingError("there is no transaction")
        self._transaction.run_later(Step(sql, tuple(parameters), wants_rows=False))

    def fetch_together(self, asked: Sequence[tuple[str, Parameters]]) -> list[list[Row]]:
        if self._transaction is None:
            return super().fetch_together(asked)
        self._check_may_run(*(sql for sql, _ in asked))
        steps = [Step(sql, tuple(parameters)) for sql, parameters in asked]
        return [result.rows for result in self._transaction.run(steps, self.deadline)]

    @property
    def waits(self) -> bool:
        return self._transaction is not None and self._transaction.waits

    def send_waiting(self) -> None:
        self._check_may_run()
        if self._transaction is not None:
            self._transaction.run([], self.deadline)

    def drop_waiting(self) -> None:
        if self._transaction is not None:
            self._transaction.drop_waiting()

    def run_many(self, sql: str, rows: Iterable[Parameters]) -> Outcome:
        self._check_may_run(sql)
        portions = _portions([Step(STORED, tuple(row), wants_rows=False) for row in rows])
        if not portions:
            return _outcome(sql, [])
        if self._transaction is not None:
            return _outcome(sql, self._run_portions(self._transaction, sql, portions))
        transaction = Transaction(self._stream, "immediate", (), foreign_keys=True)
        try:
            results = self._run_portions(transaction, sql, portions[:-1])
            results += transaction.commit((), self.deadline, portions[-1], sql)
        finally:
            transaction.abandon()
        return _outcome(sql, results)

    def run_script(self, script: str) -> None:
        self._check_may_run()
        if self._transaction is not None:
            self._transaction.run_script(script, self.deadline)
            return
        said = self._stream.send([sequence(script), CLOSE], deadline=self.deadline, commits=True)
        if isinstance(error := said.answers[0], Error):
            raise error

    def _current(self) -> Transaction | None:
        return self._transaction

    def _alone(self, step: Step) -> Result:
        commits = not only_reads(str(step.sql))
        said = self._stream.send([execute(step), CLOSE], deadline=self.deadline, commits=commits)
        answer = said.answers[0]
        if commits and isinstance(answer, ResponseTooLarge):
            raise CommitUnknown.because(answer) from answer
        if isinstance(answer, Error):
            raise answer
        assert isinstance(answer, Result)
        return answer

    def _run_portions(self, within: Transaction, sql: str, portions: list[list[Step]]) -> list[Result]:
        return [result for steps in portions for result in within.run(steps, self.deadline, sql)]

    def _abandon(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.abandon()


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
        added = 100 + sum(map(_size, step.parameters))
        if not portions or len(portions[-1]) >= _ROWS_IN_A_REQUEST or size + added > _BYTES_IN_A_REQUEST:
            portions.append([])
            size = 0
        portions[-1].append(step)
        size += added
    return portions


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | bytearray | memoryview) else 20
