"""Do two databases hold the same rows? Answered table by table, whatever engine sorts and stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection

from provisioning.transfer.rows import Row, pages
from provisioning.transfer.tables import Shape, shapes_of

_ROOM = 1 << 256
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class TableDigest:
    """`total` is the sum of all rows' digests, so the order of the rows does not matter."""

    rows: int
    total: int


def digests(connection: Connection, shapes: Sequence[Shape] | None = None) -> dict[str, TableDigest]:
    """By table. Two databases are compared over the shapes that both have."""
    return {shape.table.name: _digest(connection, shape) for shape in shapes or shapes_of(connection)}


def same_rows(one: Connection, other: Connection) -> list[str]:
    """The names of the tables that differ: none, if all is well."""
    shapes = shapes_of(one, other)
    first, second = digests(one, shapes), digests(other, shapes)
    return [name for name in first if first[name] != second[name]]


def row_digest(shape: Shape, row: Row) -> int:
    values = [_canonical(column.type, value) for column, value in zip(shape.columns, row, strict=True)]
    return int.from_bytes(blake2b(_encode(values), digest_size=32).digest())


def _digest(connection: Connection, shape: Shape) -> TableDigest:
    rows = total = 0
    for page in pages(connection, shape):
        rows += len(page)
        total = (total + sum(row_digest(shape, row) for row in page)) % _ROOM
    return TableDigest(rows, total)


def _canonical(kind: Any, value: Any) -> Any:
    """SQLite keeps a JSON text that is a number as a number, and 1.0 as 1."""
    if not isinstance(kind, JSON) or value is None:
        return value
    found = msgspec.json.decode(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found
