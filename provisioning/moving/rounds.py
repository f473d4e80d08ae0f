"""From the log to the target: which rows changed, what they are now, and the same there.

A round is read in one snapshot of the source, so what it leaves in the target is a state that the source had. Rows
are deleted before any is inserted, because two that changed may have exchanged what must be unique.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from core.errors import Conflict
from provisioning.moving.capture import LOG, check_own
from provisioning.transfer import Shape
from provisioning.transfer.digests import row_digest
from provisioning.transfer.rows import Row, delete_rows, insert_rows, put_tenant, rows_of, tenant_row

MOST_ENTRIES = 20_000
"""That one round takes along."""


@dataclass(frozen=True, slots=True)
class Round:
    """`upto` is the last entry of the log it covers; `images` are the rows of `keys` that are there still."""

    upto: int
    entries: int
    keys: Mapping[str, Sequence[Row]]
    images: Mapping[str, Sequence[Row]]
    tenant: Row

    @property
    def is_complete(self) -> bool:
        return self.entries < MOST_ENTRIES


def read_round(source: Connection, shapes: Sequence[Shape], after: int, attempt: str) -> Round:
    check_own(source, attempt)
    statement = select(LOG).where(LOG.c.seq > after).order_by(LOG.c.seq).limit(MOST_ENTRIES)
    entries = source.execute(statement).all()
    keys: dict[str, dict[Row, None]] = {}
    places = {shape.table.name: len(shape.key) for shape in shapes}
    for _, table, *key in entries:
        keys.setdefault(table, {})[tuple(key[: places[table]])] = None
    found = {name: list(of_table) for name, of_table in keys.items()}
    return Round(
        upto=entries[-1].seq if entries else after,
        entries=len(entries),
        keys=found,
        images={
            shape.table.name: rows_of(source, shape, found[shape.table.name])
            for shape in shapes
            if shape.table.name in found
        },
        tenant=tenant_row(source, shapes[-1]),
    )


def apply_round(target: Connection, shapes: Sequence[Shape], changed: Round) -> None:
    """In a transaction of converge in which references do not act."""
    logged = [shape for shape in shapes if shape.table.name in changed.keys]
    for shape in reversed(logged):
        delete_rows(target, shape, changed.keys[shape.table.name])
    for shape in logged:
        insert_rows(target, shape, changed.images[shape.table.name])
    put_tenant(target, shapes[-1], changed.tenant)


def check_round(target: Connection, shapes: Sequence[Shape], changed: Round) -> None:
    """What a round left, read back."""
    for shape in shapes:
        name = shape.table.name
        if name in changed.keys:
            _compare(shape, rows_of(target, shape, changed.keys[name]), changed.images[name])
    _compare(shapes[-1], [tenant_row(target, shapes[-1])], [changed.tenant])


def _compare(shape: Shape, found: Sequence[Row], wanted: Sequence[Row]) -> None:
    if sorted(row_digest(shape, row) for row in found) != sorted(row_digest(shape, row) for row in wanted):
        raise different([shape.table.name])


def last_entry(source: Connection) -> int:
    return int(source.execute(select(func.coalesce(func.max(LOG.c.seq), 0))).scalar_one())


def different(tables: Sequence[str]) -> Conflict:
    return Conflict(f"The copy differs in {', '.join(tables)}.", code="copy_differs")
