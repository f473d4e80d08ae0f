"""SQL that every kind of database understands, where SQLAlchemy spells it for one of them.

`insert` is the one with ON CONFLICT: SQLite's compiler takes PostgreSQL's construct, but not the other way round.
"""

from typing import Any

from sqlalchemy import JSON, Boolean, ColumnElement, Select, String, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, GenericFunction, ReturnTypeFromArgs

__all__ = [
    "behind",
    "greater",
    "insert",
    "json_array_has",
    "json_at",
    "json_has",
    "json_members",
    "json_page",
    "lesser",
]


class json_array_has(FunctionElement[bool]):  # noqa: N801  (reads as SQL's own functions do)
    """Whether a JSON array of texts, the first argument, has the second as a member."""

    inherit_cache = True
    type = Boolean()


@compiles(json_array_has)
def _in_sqlite(element: json_array_has, compiler: SQLCompiler, **options: Any) -> str:
    array, member = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({array}) WHERE value = {member})"


@compiles(json_array_has, "postgresql")
def _in_postgresql(element: json_array_has, compiler: SQLCompiler, **options: Any) -> str:
    array, member = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_array_elements_text({array}) AS member WHERE member = {member})"


class greater(ReturnTypeFromArgs[Any]):  # noqa: N801
    """Of several values, none of which is NULL."""

    name, package = "max", "portable"
    inherit_cache = True


class lesser(ReturnTypeFromArgs[Any]):  # noqa: N801
    name, package = "min", "portable"
    inherit_cache = True


@compiles(greater, "postgresql")
def _greatest(element: greater, compiler: SQLCompiler, **options: Any) -> str:
    return f"greatest({compiler.process(element.clause_expr.element, **options)})"


@compiles(lesser, "postgresql")
def _least(element: lesser, compiler: SQLCompiler, **options: Any) -> str:
    return f"least({compiler.process(element.clause_expr.element, **options)})"


class _json_members(GenericFunction[str]):  # noqa: N801
    name, package = "json_each", "portable"
    inherit_cache = True


def json_members(array: ColumnElement[Any]) -> Select[Any]:
    """The members of a JSON array of texts: what `IN` takes when the text of a statement has to stay the same."""
    return select(_json_members(array).table_valued("value").c.value)


@compiles(_json_members, "postgresql")
def _members(element: _json_members, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text({compiler.process(element.clause_expr.element, **options)})"


class json_at(FunctionElement[str]):  # noqa: N801
    """What stands in a JSON column under a path (`$."a"."b"`), as text, `true` and `false` as JSON writes them; NULL
    if there is nothing."""

    inherit_cache = True
    type = String()


@compiles(json_at)
def _extracted(element: json_at, compiler: SQLCompiler, **options: Any) -> str:
    place = compiler.process(element.clauses, **options)
    kinds = f"CASE json_type({place}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
    return f"{kinds} ELSE CAST(json_extract({compiler.process(element.clauses, **options)}) AS TEXT) END"


@compiles(json_at, "postgresql")
def _path_query(element: json_at, compiler: SQLCompiler, **options: Any) -> str:
    column, path = (compiler.process(clause, **options) for clause in element.clauses)
    steps = f"CAST('strict ' || {path} AS jsonpath)"
    return f"(jsonb_path_query_first(CAST({column} AS jsonb), {steps}, '{{}}', true) #>> '{{}}')"


class json_has(FunctionElement[bool]):  # noqa: N801
    """Whether what stands in a JSON column under a path, or one of an array there, is this text; compared as `json_at`
    writes it. Column, path, text."""

    inherit_cache = True
    type = Boolean()


@compiles(json_has)
def _among(element: json_has, compiler: SQLCompiler, **options: Any) -> str:
    column, path, value = element.clauses
    place = ", ".join(compiler.process(clause, **options) for clause in (column, path))
    written = "CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(atom AS TEXT) END"
    found = f"SELECT 1 FROM json_each({place}) WHERE {written} = {compiler.process(value, **options)}"
    again = ", ".join(compiler.process(clause, **options) for clause in (column, path))
    return f"(json_type({again}) <> 'object' AND EXISTS ({found}))"


@compiles(json_has, "postgresql")
def _among_in_postgresql(element: json_has, compiler: SQLCompiler, **options: Any) -> str:
    column, path, value = (compiler.process(clause, **options) for clause in element.clauses)
    steps = f"CAST('lax ' || {path} || '[*]' AS jsonpath)"
    members = f"jsonb_path_query(CAST({column} AS jsonb), {steps}, '{{}}', true)"
    return f"EXISTS (SELECT 1 FROM {members} AS member WHERE (member #>> '{{}}') = {value})"


class behind(FunctionElement[str]):  # noqa: N801
    """What stands in a text, the first argument, behind the first of a mark, the second."""

    inherit_cache = True
    type = String()


@compiles(behind)
def _substring(element: behind, compiler: SQLCompiler, **options: Any) -> str:
    text, mark = element.clauses
    said = [compiler.process(clause, **options) for clause in (text, text, mark)]
    return f"substr({said[0]}, instr({said[1]}, {said[2]}) + 1)"


@compiles(behind, "postgresql")
def _split(element: behind, compiler: SQLCompiler, **options: Any) -> str:
    return f"split_part({compiler.process(element.clauses, **options)}, 2)"


class json_page(FunctionElement[str]):  # noqa: N801
    """All rows of the query as one JSON text: an array of arrays of these columns."""

    inherit_cache = True
    type = String()


@compiles(json_page)
def _grouped(element: json_page, compiler: SQLCompiler, **options: Any) -> str:
    columns = (
        f"json({compiler.process(clause, **options)})"
        if isinstance(clause.type, JSON)
        else compiler.process(clause, **options)
        for clause in element.clauses
    )
    return f"json_group_array(json_array({', '.join(columns)}))"


@compiles(json_page, "postgresql")
def _aggregated(element: json_page, compiler: SQLCompiler, **options: Any) -> str:
    return f"coalesce(json_agg(json_build_array({compiler.process(element.clauses, **options)})), '[]')"
