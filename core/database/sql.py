"""SQL that every kind of database understands, where SQLAlchemy spells it for one of them.

`insert` is the one with ON CONFLICT: SQLite's compiler takes PostgreSQL's construct, but not the other way round.
"""

from typing import Any

from sqlalchemy import Boolean
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["insert", "json_array_has"]


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
