"""What PEP 249 calls a cursor: the rows of one statement, which have all arrived already."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from keystead_hrana.errors import ProgrammingError

Row = tuple[Any, ...]
Column = tuple[str, None, None, None, None, None, None]


@dataclass(frozen=True, slots=True)
class Outcome:
    columns: tuple[str, ...]
    rows: list[Row]
    affected: int
    """Rows that a change touched; -1 for what changes none by its nature."""

    last_rowid: int | None


class Runs(Protocol):
    """What a cursor needs of its connection; each transport has its own."""

    def run(self, sql: str, parameters: Sequence[object]) -> Outcome: ...
    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> Outcome: ...
    def run_script(self, script: str) -> None: ...


class Cursor:
    arraysize = 1

    def __init__(self, connection: Runs) -> None:
        self.connection = connection
        self.description: tuple[Column, ...] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self._rows: list[Row] = []
        self._next = 0
        self._closed = False

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Self:
        self._check_open()
        self._show(None)
        self._show(self.connection.run(sql, _positional(parameters)))
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> Self:
        self._check_open()
        self._show(None)
        outcome = self.connection.run_many(sql, map(_positional, rows))
        self.rowcount = outcome.affected
        return self

    def executescript(self, script: str) -> Self:
        self._check_open()
        self._show(None)
        self.connection.run_script(script)
        return self

    def fetchone(self) -> Row | None:
        self._check_open()
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> list[Row]:
        self._check_open()
        end = self._next + (self.arraysize if size is None else size)
        rows, self._next = self._rows[self._next : end], min(end, len(self._rows))
        return rows

    def fetchall(self) -> list[Row]:
        self._check_open()
        rows, self._next = self._rows[self._next :], len(self._rows)
        return rows

    def close(self) -> None:
        self._rows = []
        self._closed = True

    def setinputsizes(self, sizes: object) -> None:
        pass

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def _show(self, outcome: Outcome | None) -> None:
        self._rows, self._next = (outcome.rows if outcome else []), 0
        self.description = _description(outcome.columns) if outcome else None
        self.rowcount = outcome.affected if outcome else -1
        if outcome and outcome.last_rowid is not None:
            self.lastrowid = outcome.last_rowid

    def _check_open(self) -> None:
        if self._closed:
            raise ProgrammingError("the cursor is closed")


def _positional(parameters: Sequence[object]) -> Sequence[object]:
    if isinstance(parameters, str | bytes | dict):
        raise ProgrammingError("parameters are a sequence, in the order of the question marks")
    return parameters


def _description(columns: tuple[str, ...]) -> tuple[Column, ...] | None:
    return tuple((name, None, None, None, None, None, None) for name in columns) or None
