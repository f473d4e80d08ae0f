"""How PostgreSQL says what units of work say: one dialect, on which a unit answers as it does on SQLite.

LIKE knows no letter case of ASCII (databases are made with the locale C), NULL is the least value, a whole number
has 64 bits, JSON keeps its text. Texts that units hand to the driver have `?` places on every kind of database.
Needs the extra `postgresql`.
"""

import re
from functools import cache, lru_cache
from typing import Any, cast

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.types.string import TextLoader
from sqlalchemy import URL, types
from sqlalchemy.dialects.postgresql import psycopg as stock
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.dialects.postgresql.json import JSON
from sqlalchemy.schema import Column
from sqlalchemy.util import LRUCache, update_copy

from core.database.engine import COMPILED_STATEMENTS, LOST, Asked, Shared, to_json
from core.database.faults import UnitBroken

_STOCK: Any = stock  # its methods carry no types
_CONTROL = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:BEGIN|START|COMMIT|END|ABORT|ROLLBACK|PREPARE|SET|RESET|DISCARD|LISTEN)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What ends a transaction, or would outlive it in the session."""

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it: any function on such a value fails."""


class _Compiler(_STOCK.PGCompiler_psycopg):  # type: ignore[misc]
    def visit_like_op_binary(self, binary: Any, operator: Any, **options: Any) -> str:
        return self._like(self.visit_ilike_op_binary(binary, operator, **options), binary)

    def visit_not_like_op_binary(self, binary: Any, operator: Any, **options: Any) -> str:
        return self._like(self.visit_not_ilike_op_binary(binary, operator, **options), binary)

    def _like(self, text: str, binary: Any) -> str:
        """PostgreSQL would take a backslash for an escape that nobody named."""
        return text if binary.modifiers.get("escape") is not None else f"{text} ESCAPE ''"

    def visit_asc_op_unary_modifier(self, unary: Any, _operator: Any, **options: Any) -> str:
        return self._ordered(unary, "ASC", "NULLS FIRST", options)

    def visit_desc_op_unary_modifier(self, unary: Any, _operator: Any, **options: Any) -> str:
        return self._ordered(unary, "DESC", "NULLS LAST", options)

    def _ordered(self, unary: Any, direction: str, nulls: str, options: dict[str, Any]) -> str:
        """An index serves the order of a column that is never NULL only if nothing is said of NULL."""
        element = unary.element
        text = f"{self.process(element, **options)} {direction}"
        return text if isinstance(element, Column) and not element.nullable else f"{text} {nulls}"


class _Types(PGTypeCompiler):
    def visit_INTEGER(self, type_: Any, **options: Any) -> str:  # noqa: N802  (SQLAlchemy's name)
        return "BIGINT"


class _Json(JSON):
    render_bind_cast = True


class PostgresDialect(_STOCK.PGDialect_psycopg):  # type: ignore[misc]
    """SQLAlchemy's own, but that whoever owns the driver's connection begins and ends the transaction, and that
    nothing is executed outside it, nor in one that an error has ended and no savepoint saved."""

    supports_statement_cache = True
    supports_native_json_serialization = False
    supports_native_json_deserialization = False
    statement_compiler = _Compiler
    type_compiler_cls = _Types
    colspecs = update_copy(stock.PGDialect_psycopg.colspecs, {JSON: _Json, types.JSON: _Json})
    write = staticmethod(psycopg.Connection.execute)

    @staticmethod
    def fetch_all(driver: Any, asked: Asked) -> list[list[Any]]:
        return [driver.execute(text, parameters).fetchall() for text, parameters in asked]

    def do_begin(self, dbapi_connection: Any) -> None:
        pass

    def do_rollback(self, dbapi_connection: Any) -> None:
        pass

    def do_commit(self, dbapi_connection: Any) -> None:
        pass

    def do_rollback_to_savepoint(self, connection: Any, name: str) -> None:
        """The one thing that an ended transaction still takes."""
        connection.connection.driver_connection.execute(f"ROLLBACK TO SAVEPOINT {name}")

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        _check(cursor, statement)
        cursor.execute(numbered(statement), parameters)

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        _check(cursor, statement)
        cursor.executemany(numbered(statement), parameters)

    def do_execute_no_params(self, cursor: Any, statement: Any, context: Any = None) -> None:
        _check(cursor, statement)
        cursor.execute(statement)


def _to_json(value: Any) -> str:
    text = to_json(value)
    if _NUL.search(text):
        raise psycopg.DataError("PostgreSQL's JSON is of no use with NUL in it")
    return text


def _check(cursor: Any, statement: str) -> None:
    if not cursor.connection.in_transaction:
        raise UnitBroken(LOST)
    if _controls(statement):
        raise UnitBroken


@lru_cache(COMPILED_STATEMENTS)
def _controls(statement: str) -> bool:
    return _CONTROL.match(statement) is not None


@lru_cache(COMPILED_STATEMENTS)
def numbered(statement: str) -> str:
    """`?` places as PostgreSQL's `$1`, `$2`; what stands in quotes is left alone."""
    if "?" not in statement:
        return statement
    number, parts = 0, []
    for index, part in enumerate(statement.split("'")):
        first, *others = part.split("?") if index % 2 == 0 else [part]
        text = first
        for other in others:
            number += 1
            text += f"${number}{other}"
        parts.append(text)
    return "'".join(parts)


@cache
def adapters() -> AdaptersMap:
    """JSON comes as the text it is kept as: whoever reads it knows what to make of it."""
    own = AdaptersMap(psycopg.adapters)
    own.register_loader("json", TextLoader)
    own.register_loader("jsonb", TextLoader)
    return own


@cache
def shared_postgresql() -> Shared:
    """What `dialect.initialize` would ask the server for is said here: no server is needed to compile."""
    dialect = PostgresDialect(
        dbapi=cast(Any, psycopg),
        paramstyle="numeric_dollar",
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        use_native_hstore=False,
    )
    dialect.server_version_info = (14,)
    dialect.default_schema_name = "public"
    return Shared(dialect, URL.create("postgresql+psycopg"), LRUCache(COMPILED_STATEMENTS))
