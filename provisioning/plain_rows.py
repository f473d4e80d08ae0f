"""Rows of a model as SQL text and tuples: what is written once for every tenant costs no statement to be built."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import JSON, Column, Table

from sync.statements import Statement

_encode = msgspec.json.Encoder().encode


def statement(table: Table, rows: Iterable[Mapping[str, Any]]) -> Statement:
    """INSERT with the columns' own defaults for what a row does not name."""
    sql, columns = _of(table)
    return sql, [tuple(value(row) for value in columns) for row in rows]


@cache
def _of(table: Table) -> tuple[str, tuple[Callable[[Mapping[str, Any]], Any], ...]]:
    names = ", ".join(column.name for column in table.columns)
    places = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({places})", tuple(map(_value, table.columns))


def _value(column: Column[Any]) -> Callable[[Mapping[str, Any]], Any]:
    name, default = column.name, _default(column)
    if not isinstance(column.type, JSON):
        return lambda row: row.get(name, default)
    text = _encode(default).decode()
    return lambda row: _encode(row[name]).decode() if name in row else text


def _default(column: Column[Any]) -> Any:
    default: Any = column.default
    if default is None:
        return None
    return default.arg(None) if default.is_callable else default.arg
