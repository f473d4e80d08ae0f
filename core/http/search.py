"""A parsed search (`core/http/query.py`) as a SQL expression.

A list says which fields may be searched, and what each holds. Values travel as bind parameters only; a field
that is not named is refused, so nothing of the text reaches the statement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, false, func, not_, or_

from core.errors import InvalidQuery
from core.http.query import And, Exists, Node, Not, Or, Range, Term, parse

Kind = Literal["keyword", "text", "integer", "boolean", "time"]
_ESCAPE = "\\"
_MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Searchable:
    """`keyword` is compared exactly, `text` without letter case and by part, `time` is milliseconds."""

    column: ColumnElement[Any]
    kind: Kind


def search(text: str, fields: Mapping[str, Searchable], default: tuple[str, ...]) -> ColumnElement[bool]:
    """`default` are the fields of a term that names none."""
    return _compile(parse(text), fields, default)


def _compile(node: Node, fields: Mapping[str, Searchable], default: tuple[str, ...]) -> ColumnElement[bool]:
    match node:
        case And(parts):
            return and_(*(_compile(part, fields, default) for part in parts))
        case Or(parts):
            return or_(*(_compile(part, fields, default) for part in parts))
        case Not(part):  # what has no value does not have this value either
            return not_(func.coalesce(_compile(part, fields, default), false()))
        case Exists(field):
            return _field(fields, field).column.is_not(None)
        case Range():
            return _range(_field(fields, node.field), node)
        case Term(field=None):
            return or_(*(_default_term(_field(fields, name), node) for name in default))
        case Term(field=str(name)):
            return _term(_field(fields, name), node)
    raise _unsearchable()


def _field(fields: Mapping[str, Searchable], name: str) -> Searchable:
    found = fields.get(name)
    if found is None:
        raise InvalidQuery("The parameter 'q' names a field that cannot be searched.")
    return found


def _default_term(field: Searchable, term: Term) -> ColumnElement[bool]:
    """A bare word is no number or date by mistake: fields it cannot be in are passed over."""
    return _term(field, term) if field.kind in ("keyword", "text") else false()


def _term(field: Searchable, term: Term) -> ColumnElement[bool]:
    if term.prefix:
        return _prefix(field, term.value)
    column = field.column
    match field.kind:
        case "keyword":
            return column == term.value
        case "text" if term.phrase:
            return func.lower(column) == func.lower(term.value)
        case "text":
            return column.ilike(f"%{_escaped(term.value)}%", escape=_ESCAPE)
        case "integer":
            return column == _integer(term.value)
        case "boolean":
            return column == _boolean(term.value)
        case "time":
            first, after = _moments(term.value)
            return and_(column >= first, column < after)


def _prefix(field: Searchable, value: str) -> ColumnElement[bool]:
    if field.kind not in ("keyword", "text"):
        raise InvalidQuery("The parameter 'q' may have a wildcard only on a field of text.")
    like: Callable[..., ColumnElement[bool]] = (
        field.column.like if field.kind == "keyword" else field.column.ilike
    )
    return like(f"{_escaped(value)}%", escape=_ESCAPE)


def _escaped(value: str) -> str:
    return value.replace(_ESCAPE, _ESCAPE * 2).replace("%", f"{_ESCAPE}%").replace("_", f"{_ESCAPE}_")


def _range(field: Searchable, asked: Range) -> ColumnElement[bool]:
    column, bounds = field.column, []
    if asked.low is not None:
        first, after = _bound(field.kind, asked.low)
        bounds.append(column >= first if asked.include_low else column > after)
    if asked.high is not None:
        first, after = _bound(field.kind, asked.high)
        bounds.append(column <= after if asked.include_high else column < first)
    return and_(*bounds) if bounds else column.is_not(None)


def _bound(kind: Kind, text: str) -> tuple[Any, Any]:
    """The first and the last value that `text` stands for: a date is a whole day."""
    match kind:
        case "integer":
            return _integer(text), _integer(text)
        case "time":
            first, after = _moments(text)
            return first, after - 1
        case "keyword" | "text":
            return text, text
        case "boolean":
            raise InvalidQuery("The parameter 'q' has a range on a field that is true or false.")


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) > _MAX_INTEGER:
        raise InvalidQuery("The parameter 'q' has a value that is no whole number where one is due.")
    return int(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidQuery("The parameter 'q' has a value other than true and false where one is due.")
    return text == "true"


def _moments(text: str) -> tuple[int, int]:
    """From and up to (without), in milliseconds. `2026-01-02` is that day in UTC, a full time that
    millisecond."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        first = int(moment.timestamp() * 1000)
        length = timedelta(days=1) if len(text) <= len("2026-01-02") else timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InvalidQuery("The parameter 'q' has a value that is no date where one is due.") from None
    return first, first + length // timedelta(milliseconds=1)


def _unsearchable() -> InvalidQuery:
    return InvalidQuery("The parameter 'q' is malformed.")
