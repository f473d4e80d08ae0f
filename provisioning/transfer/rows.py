"""Pages of rows out of a table, and rows into one, each a tuple in the order of a shape's columns."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update

from provisioning.transfer.tables import TENANT, Shape
from provisioning.transfer.values import place_of, read_as, written_as

Row = tuple[Any, ...]

PAGE = 500
"""Rows that one answer or one batch carries: a libSQL server answers with ten megabytes at most."""


def pages(connection: Connection, shape: Shape) -> Iterator[list[Row]]:
    """Every row, in the order of the primary key as this engine sorts it."""
    first = select(*map(read_as, shape.columns)).order_by(*shape.key).limit(PAGE)
    after = tuple_(*(place_of(column, "after_") for column in shape.key))
    later = first.where(tuple_(*shape.key) > after)
    places = [shape.columns.index(column) for column in shape.key]
    page = _rows(connection, first, {})
    while page:
        yield page
        if len(page) < PAGE:
            return
        last = {
            f"after_{column.name}": page[-1][place] for column, place in zip(shape.key, places, strict=True)
        }
        page = _rows(connection, later, last)


def rows_of(connection: Connection, shape: Shape, keys: Sequence[Row]) -> list[Row]:
    """Those of these primary keys that are there now."""
    found: list[Row] = []
    statement = select(*map(read_as, shape.columns)).where(
        tuple_(*shape.key).in_(bindparam("keys", expanding=True))
    )
    for start in range(0, len(keys), PAGE):
        found += _rows(connection, statement, {"keys": list(keys[start : start + PAGE])})
    return found


def counts(connection: Connection, shapes: Sequence[Shape]) -> dict[str, int]:
    """How many rows each table has, in one question."""
    asked = (
        select(func.count()).select_from(shape.table).scalar_subquery().label(shape.table.name)
        for shape in shapes
    )
    return dict(connection.execute(select(*asked)).one()._mapping)


def tenant_row(connection: Connection, shape: Shape) -> Row:
    return _rows(connection, select(*map(read_as, shape.columns)), {})[0]


def insert_rows(connection: Connection, shape: Shape, rows: Sequence[Row]) -> None:
    statement = insert(shape.table).values(_values(shape))
    _in_batches(connection, statement, [_named(shape, row) for row in rows])


def delete_rows(connection: Connection, shape: Shape, keys: Sequence[Row]) -> None:
    statement = delete(shape.table).where(
        *(column == place_of(column, "key_") for column in shape.key),
    )
    names = [f"key_{column.name}" for column in shape.key]
    _in_batches(connection, statement, [dict(zip(names, key, strict=True)) for key in keys])


def put_tenant(connection: Connection, shape: Shape, row: Row) -> None:
    """The row that says whose database this is, at the end: triggers raise its version with what comes before."""
    held = connection.execute(select(func.count()).select_from(TENANT)).scalar_one()
    if held:
        connection.execute(update(TENANT).values(_values(shape)), _named(shape, row))
    else:
        connection.execute(insert(TENANT).values({**_values(shape), "converging": 0}), _named(shape, row))


def _rows(connection: Connection, statement: Any, values: dict[str, Any]) -> list[Row]:
    return [tuple(row) for row in connection.execute(statement, values)]


def _values(shape: Shape) -> dict[str, Any]:
    return {column.name: written_as(column) for column in shape.columns}


def _named(shape: Shape, row: Row) -> dict[str, Any]:
    return dict(zip((column.name for column in shape.columns), row, strict=True))


def _in_batches(connection: Connection, statement: Any, values: list[dict[str, Any]]) -> None:
    for start in range(0, len(values), PAGE):
        connection.execute(statement, values[start : start + PAGE])
