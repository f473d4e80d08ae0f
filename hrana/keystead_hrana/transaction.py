"""One transaction on one stream: begun with its first statement, ended with its last request.

A statement that is refused leaves the transaction as it was, as in SQLite. The server is asked each time whether the
transaction still stands: it takes one away that lasts longer than some seconds while another writer waits, and its
stream would then commit statement by statement. So every step runs only inside a transaction, and one that was taken
away is lost for good.
"""

from collections.abc import Sequence

from keystead_hrana.dbapi import BEGIN, TAKEN_AWAY, Last, Mode, Prelude
from keystead_hrana.errors import LOST, CommitUnknown, Error, StreamLost, is_refused_commit
from keystead_hrana.stream import Stream
from keystead_hrana.values import Wire
from keystead_hrana.wire import (
    CLOSE,
    GET_AUTOCOMMIT,
    Answer,
    BatchResult,
    Reply,
    Result,
    Step,
    chained,
    forget,
    sequence,
    store,
)

_COMMIT = Step("COMMIT", wants_rows=False)
_FOREIGN_KEYS_OFF = Step("PRAGMA foreign_keys=OFF", wants_rows=False)
STORED = 1
"""The number that an executemany's text has in its stream."""


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
        self._waiting: list[Step] = []

    def run(self, steps: Sequence[Step], deadline: float | None, stored: str | None = None) -> list[Result]:
        """Statements of which each runs only if the one before did, in one request with those that wait."""
        waiting = self._take_waiting()
        return self._exchange([*waiting, *steps], deadline, stored=stored, ends=False)[len(waiting) :]

    def run_later(self, step: Step) -> None:
        self._waiting.append(step)

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def drop_waiting(self) -> None:
        self._waiting.clear()

    def run_script(self, script: str, deadline: float | None) -> None:
        """A sequence stops at its first error, so it cannot go on outside the transaction."""
        if self._waiting or not self._begun:
            self.run([], deadline)
        said = self._send([sequence(script), GET_AUTOCOMMIT], deadline, commits=False)
        stands, error = self._stands(said), said.answers[0]
        if not stands or isinstance(error, LOST):
            self.abandon()
        if isinstance(error, Error):
            raise error
        if not stands:
            raise StreamLost("the script ended the transaction, or the server did", sent=True)

    def commit(
        self,
        last: Sequence[Last],
        deadline: float | None,
        steps: Sequence[Step] = (),
        stored: str | None = None,
    ) -> list[Result]:
        """The last statements, COMMIT and the end of the stream, in one request. A read ends without a COMMIT."""
        if not last and not steps and not self._waiting and (self.mode == "read" or not self._begun):
            self.abandon()
            return []
        if self._preludes and not self._begun and self.mode != "read":
            self.run([], deadline)  # who raises here must not come too late
        first = [*self._take_waiting(), *steps]
        all_steps = [*first, *(Step(sql, parameters) for sql, parameters, _ in last)]
        results = self._exchange(all_steps, deadline, stored=stored, ends=True)
        self.is_alive = False
        for (_, _, tell), result in zip(last, results[len(first) :], strict=True):
            if tell is not None:
                tell(result.rows)
        return results[len(first) - len(steps) :]

    def abandon(self) -> None:
        """Closing the stream rolls back."""
        self.is_alive = False
        self._stream.close()

    def _exchange(
        self, steps: Sequence[Step], deadline: float | None, *, stored: str | None, ends: bool
    ) -> list[Result]:
        opening = [] if self._begun else self._opening()
        commits = ends and self.mode != "read"
        batch = [*opening, *steps, *([_COMMIT] if commits else [])]
        requests = _requests(batch, len(opening) - len(self._preludes) if opening else 0, stored, ends)
        said = self._send(requests, deadline, commits=commits)
        answer = said.answers[0 if stored is None else 1]
        results, error = _outcome(answer)
        stands = not ends and self._stands(said) and len(results) >= len(opening)
        try:
            if opening and len(results) >= len(opening):
                self._tell_preludes(results[len(opening) - len(self._preludes) : len(opening)])
            if error is not None:
                at_commit = commits and (isinstance(answer, Error) or len(results) == len(batch) - 1)
                raise _of_commit(error) if at_commit else error
            if len(results) < len(batch) or not (stands or ends):
                raise StreamLost(TAKEN_AWAY, sent=True)
        except BaseException as failure:
            if not (stands and failure is error) or isinstance(failure, LOST):
                self.abandon()
            raise
        finally:
            self._begun = True
        return results[len(opening) : len(opening) + len(steps)]

    def _take_waiting(self) -> list[Step]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _opening(self) -> list[Step]:
        begin = Step(BEGIN[self.mode], wants_rows=False)
        off = [] if self._foreign_keys else [_FOREIGN_KEYS_OFF]
        return [*off, begin, *(Step(sql) for sql, _ in self._preludes)]

    def _tell_preludes(self, results: Sequence[Result]) -> None:
        for (_, tell), result in zip(self._preludes, results, strict=True):
            tell(result.rows)

    def _send(self, requests: Sequence[Wire], deadline: float | None, *, commits: bool) -> Reply:
        try:
            return self._stream.send(requests, deadline=deadline, commits=commits)
        except Error:
            self.is_alive = False
            raise

    def _stands(self, said: Reply) -> bool:
        return said.answers[-1] is False and self._stream.is_open


def _outcome(answer: Answer) -> tuple[list[Result], Error | None]:
    """The results of the steps that were run, and the error of the one after them."""
    if isinstance(answer, Error):
        return [], answer
    assert isinstance(answer, BatchResult)
    results = [each for each in answer.results if each is not None]
    return results, next((error for error in answer.errors if error is not None), None)


def _requests(batch: Sequence[Step], outside: int, stored: str | None, ends: bool) -> list[Wire]:
    steps = chained(batch, outside=outside)
    if stored is None:
        return [steps, CLOSE if ends else GET_AUTOCOMMIT]
    first = store(stored, STORED)
    return [first, steps, CLOSE] if ends else [first, steps, forget(STORED), GET_AUTOCOMMIT]


def _of_commit(error: Error) -> Error:
    """What is known after a COMMIT that failed, or a batch with one of which nothing else is said."""
    return error if is_refused_commit(error) else CommitUnknown.because(error)
