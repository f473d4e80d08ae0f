"""JSON as the text that it is: parsed and written again it would lose what only one engine keeps."""

from typing import Any

from sqlalchemy import JSON, BindParameter, Column, ColumnElement, Text, bindparam, cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_of(FunctionElement[Any]):  # noqa: N801  (reads as SQL's own functions do)
    """A text as the value of a JSON column: a type of its own in PostgreSQL, text in SQLite."""

    inherit_cache = True
    type = JSON()


@compiles(json_of)
def _in_sqlite(element: json_of, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.clauses.clauses[0], **options))


@compiles(json_of, "postgresql")
def _in_postgresql(element: json_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses.clauses[0], **options)} AS JSON)"


def read_as(column: Column[Any]) -> ColumnElement[Any]:
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def written_as(column: Column[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return json_of(bindparam(column.name, type_=Text))
    return place_of(column)


def place_of(column: Column[Any], prefix: str = "") -> BindParameter[Any]:
    return bindparam(f"{prefix}{column.name}", type_=column.type)
