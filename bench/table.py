"""The rows, as a table for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

HEADINGS = (
    "",
    "work",
    "unit",
    "measured",
    "floor",
    "x floor",
    "aim",
    "target",
    "op/s",
    "p50 ms",
    "p99 ms",
    "notes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    workload: str
    work: str
    unit: str
    measured: float
    floor: float | None = None
    aim: float | None = None
    """The target as a multiple of the floor of the machine on which both were set."""

    target: float | None = None
    rate: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    spread: float | None = None
    notes: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.measured / self.floor if self.floor else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def rendered(rows: Sequence[Row]) -> str:
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = [_line(line, widths) for line in cells]
    return "\n".join([lines[0], _line(tuple("-" * width for width in widths), widths), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    notes = f"{row.notes} (±{row.spread:.0%})".strip() if row.spread is not None else row.notes
    return (
        row.workload,
        row.work,
        row.unit,
        _number(row.measured),
        _number(row.floor),
        _number(row.ratio),
        _number(row.aim),
        _number(row.target),
        f"{row.rate:,.0f}" if row.rate is not None else "",
        _number(row.p50_ms),
        _number(row.p99_ms),
        notes,
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = {1, 2, len(HEADINGS) - 1}
    padded = [
        cell.ljust(width) if column in texts else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()
