"""Which tables and columns of a tenant's database are moved, and in which order."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, inspect

from tenant_runtime.models import TenantBase, TenantRow

TENANT = TenantRow.__table__
LEFT_OUT = frozenset({TENANT.c.converging})
"""Says what the database's own transaction does at the moment."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as both sides have it."""

    table: Table
    columns: tuple[Column[object], ...]

    @property
    def key(self) -> tuple[Column[object], ...]:
        return tuple(self.table.primary_key.columns)


def shapes_of(*connections: Connection) -> list[Shape]:
    """Parents before children, the row that says whose database it is last: until it is there no trigger refuses
    anything. Columns that one side lacks are left out."""
    held = [_columns(connection) for connection in connections]
    tables = [table for table in TenantBase.metadata.sorted_tables if table is not TENANT]
    return [_shape(table, held) for table in (*tables, TENANT) if all(table.name in each for each in held)]


def _shape(table: Table, held: Iterable[dict[str, frozenset[str]]]) -> Shape:
    moved = (column for column in table.columns if column not in LEFT_OUT)
    return Shape(
        table, tuple(column for column in moved if all(column.name in each[table.name] for each in held))
    )


def _columns(connection: Connection) -> dict[str, frozenset[str]]:
    found = inspect(connection).get_multi_columns()
    return {name: frozenset(column["name"] for column in columns) for (_, name), columns in found.items()}
