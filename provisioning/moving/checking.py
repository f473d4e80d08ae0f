"""Whether the target may take over: it holds what the source did, and nothing in it refers to what is not there."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, ForeignKeyConstraint, and_, exists, or_, select

from core.errors import Conflict
from provisioning.moving.rounds import different
from provisioning.transfer import Shape


def check_same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Digests or counts, by table."""
    if differing := [name for name in wanted if wanted[name] != found[name]]:
        raise different(differing)


def check_references(connection: Connection, shapes: Sequence[Shape]) -> None:
    """As SQLite's own check would, on every engine."""
    present = {shape.table.name for shape in shapes}
    for shape in shapes:
        for reference in shape.table.foreign_key_constraints:
            if reference.referred_table.name in present and _leads_nowhere(connection, reference):
                raise Conflict(
                    f"Rows of {shape.table.name} refer to {reference.referred_table.name} that are not there.",
                    code="copy_differs",
                )


def _leads_nowhere(connection: Connection, reference: ForeignKeyConstraint) -> bool:
    child, parent = reference.table, reference.referred_table.alias("parent")
    pairs = [(element.parent, parent.c[element.column.name]) for element in reference.elements]
    is_empty = or_(*(column.is_(None) for column, _ in pairs))
    found = exists().where(and_(*(column == target for column, target in pairs)))
    statement = select(1).select_from(child).where(~is_empty, ~found.correlate(child)).limit(1)
    return connection.execute(statement).first() is not None
