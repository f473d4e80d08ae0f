"""Statements of the hot paths, compiled once and handed to the driver as they are.

SQLAlchemy spends ten times as long on a small statement as SQLite does. A `Prepared` is written like any other
statement and runs in the same transaction on the same connection, under the same guard; it leaves out what a
fixed statement does not need. Types are converted as SQLAlchemy would (JSON, booleans). Elsewhere than in a
token, a log-in or a list, `connection.execute` is right. Errors are the driver's, which the lane knows as well.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from msgspec import defstruct
from msgspec.json import Decoder
from sqlalchemy import Boolean, ColumnElement, Connection, LargeBinary, Select, select
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from core.database.engine import LOST
from core.database.faults import UnitBroken
from core.database.sql import json_page

Values = Mapping[str, Any]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    text: str
    names: tuple[str, ...]
    """Of the parameters, in the order of the text."""

    constants: Values
    encode: tuple[tuple[int, Convert], ...]
    decode: tuple[tuple[int, Convert], ...]
    row: Callable[[Any], Any]

    def parameters(self, values: Values) -> list[Any]:
        known = {**self.constants, **values} if self.constants else values
        parameters = [known[name] for name in self.names]
        for place, convert in self.encode:
            parameters[place] = convert(parameters[place])
        return parameters

    def converted(self, rows: list[Any]) -> list[Any]:
        return list(map(self.decoded if self.decode else self.row, rows))

    def decoded(self, row: tuple[Any, ...]) -> Any:
        values = list(row)
        for place, convert in self.decode:
            values[place] = convert(values[place])
        return self.row(values)


class Prepared:
    """A SELECT, or a write that names its columns: without lists in `IN`, and without defaults made in Python."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._by_dialect: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        """Named tuples."""
        compiled = self.compiled(connection)
        return compiled.converted(self._execute(connection, compiled, values).fetchall())

    def first(self, connection: Connection, values: Values) -> Any | None:
        return next(iter(self.rows(connection, values)), None)

    def run(self, connection: Connection, values: Values) -> None:
        """A write of which nothing is asked. To a libSQL server it travels with the next statement, or with COMMIT;
        what it breaks is told there."""
        compiled = self.compiled(connection)
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            raise UnitBroken(LOST)
        cast(Any, connection.dialect).write(driver, compiled.text, compiled.parameters(values))

    def _execute(self, connection: Connection, compiled: _Compiled, values: Values) -> Any:
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            raise UnitBroken(LOST)
        return driver.execute(compiled.text, compiled.parameters(values))

    def compiled(self, connection: Connection) -> _Compiled:
        dialect = connection.dialect
        return self._by_dialect.get(dialect.name) or self._compile(dialect)

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = cast(SQLCompiler, self._statement.compile(dialect=dialect))
        if compiled.post_compile_params or compiled.insert_prefetch or compiled.update_prefetch:
            raise TypeError("a prepared statement has a fixed text and no defaults")
        names = tuple(compiled.positiontup or ())
        parameters = {name: compiled.binds[name] for name in names}
        columns = getattr(self._statement, "exported_columns", ())
        made = self._by_dialect[dialect.name] = _Compiled(
            text=str(compiled),
            names=names,
            constants={name: bind.value for name, bind in parameters.items() if not bind.required},
            encode=_converters([parameters[name].type for name in names], dialect, "bind_processor"),
            decode=_converters([column.type for column in columns], dialect, "result_processor", None),
            row=cast(Any, namedtuple("Row", [str(column.key) for column in columns], rename=True))._make,
        )
        return made


def rows_of_all(connection: Connection, *statements: Prepared) -> list[list[Any]]:
    """The rows of statements without parameters, all of which are asked in one round trip."""
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        raise UnitBroken(LOST)
    compiled = [statement.compiled(connection) for statement in statements]
    asked = [(each.text, each.parameters({})) for each in compiled]
    answers = cast(Any, connection.dialect).fetch_all(driver, asked)
    return [each.converted(rows) for each, rows in zip(compiled, answers, strict=True)]


class PreparedPage:
    """A SELECT of many rows, which the database hands over as one JSON text.

    A row by itself costs two turns of the interpreter's lock, and between threads that is most of what a page
    costs. The rows are structs with the attributes of the named tuples they stand for. No bytes.
    """

    def __init__(self, statement: Select[Any]) -> None:
        columns = statement.subquery("page").c
        if any(isinstance(column.type, LargeBinary) for column in columns):
            raise TypeError("bytes are no JSON")
        self._text = Prepared(select(json_page(*columns).label("rows")))
        fields = [(str(column.key), _decoded_as(column)) for column in columns]
        row = defstruct("Row", fields, frozen=True, array_like=True, gc=False)
        self._decoder: Decoder[list[Any]] = Decoder(list[row], strict=False)  # type: ignore[valid-type]

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        found = self._text.first(connection, values)
        return self._decoder.decode(found.rows) if found is not None else []


def _decoded_as(column: ColumnElement[Any]) -> Any:
    return bool | None if isinstance(column.type, Boolean) else Any


def _converters(
    types: list[TypeEngine[Any]], dialect: Dialect, kind: str, *more: Any
) -> tuple[tuple[int, Convert], ...]:
    converters = (getattr(each.dialect_impl(dialect), kind)(dialect, *more) for each in types)
    return tuple((place, convert) for place, convert in enumerate(converters) if convert is not None)
