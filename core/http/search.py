"""A parsed search (`core/http/query.py`) as a SQL expression.

A list says which fields may be searched, and what each holds. Values travel as bind parameters only; a field
that is not named is refused, so nothing of the text reaches the statement. `reach` says how much of a table such an
expression has to read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, false, func, not_, or_

from core.errors import InvalidQuery
from core.http.query import And, Exists, Node, Not, Or, Range, Term, parse

Kind = Literal["keyword", "folded", "text", "integer", "boolean", "time", "member"]
TEXTS = ("keyword", "folded", "text", "member")
_LAST = "\U0010ffff"
"""Sorts behind every other character, so that all that begins with a word stands between it and the word with this."""

_ESCAPE = "\\"
_MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Searchable:
    """`keyword` is compared exactly, `folded` is kept in small letters and found by any, `text` is compared without
    letter case and by part, `time` is milliseconds. A `member` is what stands in an object, or one of several in an
    array there: `has` tells. `within` makes a condition on this field, which is another table's, one on the list's
    rows. `reach`: what an index of the column is good for."""

    column: ColumnElement[Any]
    kind: Kind
    reach: "Reach" = field(default_factory=lambda: Reach.ALL)
    within: Callable[[ColumnElement[bool]], ColumnElement[bool]] | None = None
    has: Callable[[str], ColumnElement[bool]] | None = None


class Reach(IntEnum):
    """How many rows are read: those that are found; those of the page, in the list's own order; or all."""

    FEW = 0
    IN_ORDER = 1
    ALL = 2


def search(text: str, fields: Mapping[str, Searchable], default: tuple[str, ...]) -> ColumnElement[bool]:
    """`default` are the fields of a term that names none."""
    return _compile(parse(text), fields, default)


def reach(text: str, fields: Mapping[str, Searchable]) -> Reach:
    return _reach(parse(text), fields)


def _reach(node: Node, fields: Mapping[str, Searchable]) -> Reach:
    match node:
        case And(parts):
            each = [_reach(part, fields) for part in parts]
            return Reach.FEW if Reach.FEW in each else max(each)
        case Or(parts):
            is_few = all(_reach(part, fields) is Reach.FEW for part in parts)
            return Reach.FEW if is_few else Reach.ALL
        case Term(field=str(name)):
            found = _field(fields, name)
            by_index = found.kind != "text" or node.phrase or node.prefix
            return found.reach if by_index else Reach.ALL
        case Range():
            in_order = _field(fields, node.field).reach is Reach.IN_ORDER
            return Reach.IN_ORDER if in_order else Reach.ALL
    return Reach.ALL


def _compile(node: Node, fields: Mapping[str, Searchable], default: tuple[str, ...]) -> ColumnElement[bool]:
    match node:
        case And(parts):
            return and_(*(_compile(part, fields, default) for part in parts))
        case Or(parts):
            return or_(*(_compile(part, fields, default) for part in parts))
        case Not(part):  # what has no value does not have this value either
            return not_(func.coalesce(_compile(part, fields, default), false()))
        case Exists(field):
            return _within(_field(fields, field), _field(fields, field).column.is_not(None))
        case Range():
            return _within(_field(fields, node.field), _range(_field(fields, node.field), node))
        case Term(field=None):
            return or_(*(_default_term(_field(fields, name), node) for name in default))
        case Term(field=str(name)):
            return _within(_field(fields, name), _term(_field(fields, name), node))
    raise _unsearchable()


def _within(field: Searchable, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition if field.within is None else field.within(condition)


def _field(fields: Mapping[str, Searchable], name: str) -> Searchable:
    found = fields.get(name)
    if found is None:
        raise InvalidQuery("The parameter 'q' names a field that cannot be searched.")
    return found


def _default_term(field: Searchable, term: Term) -> ColumnElement[bool]:
    """A bare word is no number or date by mistake: fields it cannot be in are passed over."""
    return _term(field, term) if field.kind in TEXTS else false()


def _term(field: Searchable, term: Term) -> ColumnElement[bool]:
    if term.prefix:
        return _prefix(field, term.value)
    column = field.column
    match field.kind:
        case "keyword":
            return column == term.value
        case "folded":
            return column == func.lower(term.value)
        case "member":
            return column == term.value if field.has is None else field.has(term.value)
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
    """As a range, which an index can be asked for; both engines order texts by their bytes."""
    if field.kind not in TEXTS:
        raise InvalidQuery("The parameter 'q' may have a wildcard only on a field of text.")
    column = func.lower(field.column) if field.kind == "text" else field.column
    begin = value if field.kind in ("keyword", "member") else func.lower(value)
    end = value + _LAST if field.kind in ("keyword", "member") else func.lower(value + _LAST)
    return and_(column >= begin, column < end)


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
        case "keyword" | "folded" | "text":
            return text, text
        case "member":
            raise InvalidQuery("The parameter 'q' has a range on a member of metadata, which has none.")
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
