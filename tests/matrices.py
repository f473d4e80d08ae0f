"""Large tables of cases: some run with each change, the whole of them under `make faults`."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

Row = str | tuple[Any, ...]


def in_ci(rows: Iterable[Row], chosen: Iterable[Row]) -> list[Any]:
    """All `rows`; those that are not `chosen` take their time elsewhere."""
    rows, left = list(rows), set(chosen)
    assert left <= set(rows), f"no such rows: {left - set(rows)}"
    return [row if row in left else _long(row) for row in rows]


def in_turn(kinds: Sequence[str], cases: Sequence[str]) -> list[Any]:
    """Each of `kinds` with each of `cases`, and with each change only the next kind for the next case."""
    rows = [(kind, case) for kind in kinds for case in cases]
    longest = max(len(kinds), len(cases))
    chosen = {(kinds[n % len(kinds)], cases[n % len(cases)]) for n in range(longest)}
    return in_ci(rows, chosen)


def _long(row: Row) -> Any:
    values = row if isinstance(row, tuple) else (row,)
    return pytest.param(*values, marks=pytest.mark.long)
