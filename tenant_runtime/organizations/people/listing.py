"""Many members: a page of them and how many there are, filtered and sorted as the client asks. Two statements, however
large the organization is.

`role` is a member's roles as one text, as the wire has it, in filters and in sorting too. Which rows the page has is
read from an index alone; only these are looked up. In the order of joining and by role, both ways, the index has the
order as well, and of one role it has those alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from tenant_runtime.models import Membership, User
from tenant_runtime.organizations.members import Member
from tenant_runtime.organizations.people.rows import Person
from tenant_runtime.organizations.wire.errors import ApiError, refusal

Operator = Literal[
    "eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains", "starts_with", "ends_with"
]
Direction = Literal["asc", "desc"]
DEFAULT_PAGE = 100
LARGEST_PAGE = 1000

_m, _u = Membership.__table__.c, User.__table__.c
FIELDS: Mapping[str, ColumnElement[Any]] = {
    "id": _m.id,
    "organizationId": _m.organization_id,
    "userId": _m.user_id,
    "role": _m.role,
    "createdAt": _m.created_at,
}
_OF_ORGANIZATION = _m.organization_id == bindparam("organization")
_MEMBERS = (
    select(
        _m.id,
        _m.organization_id,
        _m.user_id,
        _m.role,
        _m.created_at,
        _u.name,
        _u.email,
        _u.picture,
    )
    .select_from(Membership.__table__)
    .join(User.__table__, _u.user_id == _m.user_id)
)
_IDS = select(_m.id).where(_OF_ORGANIZATION)
_TOTAL = select(func.count()).select_from(Membership.__table__).where(_OF_ORGANIZATION)
_IN_ORDER = (_m.created_at, _m.id)
_COMPARES: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column != value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
}
_READS: Mapping[str, Callable[[Any, str], ColumnElement[bool]]] = {
    "contains": lambda column, text: column.contains(text, autoescape=True),
    "starts_with": lambda column, text: column.startswith(text, autoescape=True),
    "ends_with": lambda column, text: column.endswith(text, autoescape=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`filter_values`: as many as the query has."""

    limit: int = DEFAULT_PAGE
    offset: int = 0
    sort_by: str | None = None
    direction: Direction = "asc"
    filter_field: str | None = None
    filter_values: Sequence[str] = ()
    operator: Operator = "eq"


@dataclass(frozen=True, slots=True)
class Page:
    members: list[tuple[Member, Person]]
    total: int


def page_of(connection: Connection, organization_id: str, wanted: Wanted) -> Page:
    """`total` counts those that the filter leaves."""
    criteria, order = _criteria(wanted), _order(wanted)
    ids = _IDS.where(*criteria).order_by(*order).limit(wanted.limit).offset(wanted.offset).subquery()
    statement = _MEMBERS.join(ids, ids.c.id == _m.id).order_by(*order)
    of_it = {"organization": organization_id}
    rows = connection.execute(statement, of_it).all()
    total = connection.execute(_TOTAL.where(*criteria), of_it).scalar_one()
    return Page([_pair(row) for row in rows], total)


def _pair(row: Any) -> tuple[Member, Person]:
    member = Member(row.id, row.organization_id, row.user_id, tuple(row.role.split(",")), row.created_at)
    return member, Person(row.user_id, row.name, row.email, row.picture)


def _order(wanted: Wanted) -> Sequence[ColumnElement[Any]]:
    if not wanted.sort_by:
        return _IN_ORDER
    column = _field(wanted.sort_by, "sortBy")
    columns = (column, *(other for other in _IN_ORDER if other is not column))
    return [each.desc() for each in columns] if wanted.direction == "desc" else columns


def _criteria(wanted: Wanted) -> list[ColumnElement[bool]]:
    if not wanted.filter_field:
        return []
    column = _field(wanted.filter_field, "filterField")
    values = [_value(wanted.filter_field, text) for text in wanted.filter_values]
    if wanted.operator in ("in", "not_in"):
        return [_among(column, wanted, values)]
    if len(values) != 1:
        raise _invalid("filterValue", "Expected one value")
    return [_compared(column, wanted, values[0])]


def _among(column: ColumnElement[Any], wanted: Wanted, values: list[Any]) -> ColumnElement[bool]:
    """One value is what nobody is not, and no list of what somebody is."""
    if len(values) < (2 if wanted.operator == "in" else 1):
        raise _invalid("filterValue", "Expected several values")
    return column.in_(values) if wanted.operator == "in" else column.not_in(values)


def _compared(column: ColumnElement[Any], wanted: Wanted, value: Any) -> ColumnElement[bool]:
    if (compare := _COMPARES.get(wanted.operator)) is not None:
        return compare(column, value)
    if not isinstance(value, str):
        raise _invalid("filterOperator", "Texts only")
    return _READS[wanted.operator](column, value)


def _field(name: str, parameter: str) -> ColumnElement[Any]:
    column = FIELDS.get(name)
    if column is None:
        raise _invalid(parameter, "Unknown field")
    return column


def _value(field: str, text: str) -> Any:
    """Times come as the wire has them, or in milliseconds."""
    if field != "createdAt":
        return text
    try:
        return int(text) if text.isdecimal() and len(text) < 16 else _moment(text)
    except ValueError:
        raise _invalid("filterValue", "Expected a time") from None


def _moment(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return round(moment.timestamp() * 1000)


def _invalid(parameter: str, reason: str) -> ApiError:
    return refusal(400, "VALIDATION_ERROR", f"[query.{parameter}] {reason}")
