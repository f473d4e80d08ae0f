"""One transaction on one stream: begun with its first statement, ended with its last request.

A statement that fails ends the transaction, as in PostgreSQL, unless a savepoint is open that the caller can return
to. The server is asked each time whether the transaction still stands: it takes a transaction away that lasts longer
than some seconds while another writer waits, and its stream then commits statement by statement.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NoReturn

from keystead_hrana.errors import (
    LOST,
    Blocked,
    Busy,
    CommitUnknown,
    Error,
    IntegrityError,
    StreamLost,
    primary_name,
)
from keystead_hrana.statements import after
from keystead_hrana.stream import Stream
from keystead_hrana.values import Wire
from keystead_hrana.wire import (
    CLOSE,
    GET_AUTOCOMMIT,
    Answer,
    BatchResult,
    Parameters,
    Reply,
    Result,
    Row,
    Step,
    chained,
    forget,
    sequence,
    store,
)

Mode = Literal["deferred", "immediate", "read"]
Rows = Callable[[list[Row]], None]
Prelude = tuple[str, Rows]
Last = tuple[str, Parameters, Rows | None]

_BEGIN: dict[Mode, str] = {"deferred": "BEGIN", "immediate": "BEGIN IMMEDIATE", "read": "BEGIN READONLY"}
_COMMIT = Step("COMMIT", wants_rows=False)
_FOREIGN_KEYS_OFF = Step("PRAGMA foreign_keys=OFF", wants_rows=False)
STORED = 1
"""The number that an executemany's text has in its stream."""

_TAKEN_AWAY = "the transaction was taken away by the server"


class Transaction:
    def __init__(
        self, stream: Stream, mode: Mode, preludes: Sequence[Prelude], *, foreign_keys: bool
    ) -> None:
        self.mode = mode
        self.is_alive = True
        self._stream = stream
        self._preludes = tuple(preludes)
        self._foreign_keys = foreign_keys
        self._begun = False
        self._savepoints: tuple[str, ...] = ()

    def run(self, steps: Sequence[Step], deadline: float | None, stored: str | None = None) -> list[Result]:
        """Statements of which each runs only if the one before did, in one request."""
        results = self._exchange(steps, deadline, stored=stored, ends=False)
        for step in steps:
            if isinstance(step.sql, str):
                self._savepoints = after(step.sql, self._savepoints)
        return results

    def run_script(self, script: str, deadline: float | None) -> None:
        """A sequence stops at its first error, so it cannot go on outside the transaction."""
        if not self._begun:
            self._exchange([], deadline, stored=None, ends=False)
        said = self._send([sequence(script), GET_AUTOCOMMIT], deadline, commits=False)
        if isinstance(error := said.answers[0], Error):
            self._fail(error, self._stands(said), deadline)
        if not self._stands(said):
            self._lose(deadline)
            raise StreamLost("the script ended the transaction, or the server did", sent=True)

    def commit(
        self,
        last: Sequence[Last],
        deadline: float | None,
        steps: Sequence[Step] = (),
        stored: str | None = None,
    ) -> list[Result]:
        """The last statements, COMMIT and the end of the stream, in one request. A read ends without a COMMIT."""
        if not last and not steps and (self.mode == "read" or not self._begun):
            self.abandon(deadline)
            return []
        all_steps = [*steps, *(Step(sql, parameters) for sql, parameters, _ in last)]
        results = self._exchange(all_steps, deadline, stored=stored, ends=True)
        self.is_alive = False
        for (_, _, tell), result in zip(last, results[len(steps) :], strict=True):
            if tell is not None:
                tell(result.rows)
        return results

    def abandon(self, deadline: float | None) -> None:
        """Closing the stream rolls back."""
        self.is_alive = False
        self._stream.close(deadline)

    def _exchange(
        self, steps: Sequence[Step], deadline: float | None, *, stored: str | None, ends: bool
    ) -> list[Result]:
        opening = [] if self._begun else self._opening()
        commits = ends and self.mode != "read"
        batch = [*opening, *steps, *([_COMMIT] if commits else [])]
        said = self._send(_requests(batch, self._outside(opening), stored, ends), deadline, commits=commits)
        stands = not ends and self._stands(said)
        results = self._results(said.answers[0 if stored is None else 1], batch, commits, stands, deadline)
        if not stands and not ends:
            self._lose(deadline)
            raise StreamLost(_TAKEN_AWAY, sent=True)
        self._begun = True
        self._tell_preludes(results[self._outside(opening) : len(opening)], deadline)
        return results[len(opening) : len(opening) + len(steps)]

    def _opening(self) -> list[Step]:
        begin = Step(_BEGIN[self.mode], wants_rows=False)
        off = [] if self._foreign_keys else [_FOREIGN_KEYS_OFF]
        return [*off, begin, *(Step(sql) for sql, _ in self._preludes)]

    def _outside(self, opening: Sequence[Step]) -> int:
        """How many of its steps run before the transaction stands."""
        return len(opening) - len(self._preludes) if opening else 0

    def _send(self, requests: Sequence[Wire], deadline: float | None, *, commits: bool) -> Reply:
        try:
            return self._stream.send(requests, deadline=deadline, commits=commits)
        except Error:
            self.is_alive = False
            raise

    def _results(
        self, answer: Answer, batch: Sequence[Step], commits: bool, stands: bool, deadline: float | None
    ) -> list[Result]:
        if isinstance(answer, Error):
            self._fail(CommitUnknown.because(answer) if commits else answer, stands, deadline)
        assert isinstance(answer, BatchResult)
        if answer.failed is not None:
            place, error = answer.failed
            unclear = commits and place == len(batch) - 1 and not _is_refusal(error)
            self._fail(CommitUnknown.because(error) if unclear else error, stands, deadline)
        results = [each for each in answer.results if each is not None]
        if len(results) < len(batch):
            self._lose(deadline)
            raise StreamLost(_TAKEN_AWAY, sent=True)
        return results

    def _tell_preludes(self, results: Sequence[Result], deadline: float | None) -> None:
        preludes, self._preludes = self._preludes if results else (), ()
        try:
            for (_, tell), result in zip(preludes, results, strict=True):
                tell(result.rows)
        except BaseException:
            self._lose(deadline)
            raise

    def _stands(self, said: Reply) -> bool:
        return said.answers[-1] is False and self._stream.is_open

    def _fail(self, error: Error, stands: bool, deadline: float | None) -> NoReturn:
        if not (stands and self._begun and self._savepoints) or isinstance(error, LOST):
            self._lose(deadline)
        raise error

    def _lose(self, deadline: float | None) -> None:
        self.is_alive = False
        self._stream.close(deadline)


def _requests(batch: Sequence[Step], outside: int, stored: str | None, ends: bool) -> list[Wire]:
    steps = chained(batch, outside=outside)
    if stored is None:
        return [steps, CLOSE if ends else GET_AUTOCOMMIT]
    first = store(stored, STORED)
    return [first, steps, CLOSE] if ends else [first, steps, forget(STORED), GET_AUTOCOMMIT]


def _is_refusal(error: Error) -> bool:
    """Whether a COMMIT that failed certainly did nothing."""
    return isinstance(error, IntegrityError | Busy | Blocked) or primary_name(error.code) == "SQLITE_FULL"
