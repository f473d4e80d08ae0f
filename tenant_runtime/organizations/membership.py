"""May this user act in this organization, now? Asked in the unit that issues, each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, select

from core.database import Prepared
from core.errors import AccessDenied, InvalidRequest
from tenant_runtime.models import Membership, Organization

UNKNOWN = "The organization is unknown."
NOT_A_MEMBER = "The user is not a member of this organization."
SUSPENDED = "This organization is suspended."

_ID_PREFIX = "org_"
_PICKER_LIMIT = 200

_o = Organization.__table__.c
_m = Membership.__table__.c


def _membership(where: ColumnElement[bool]) -> Select[Any]:
    mine = and_(_m.organization_id == _o.id, _m.user_id == bindparam("user_id"))
    return (
        select(_o.id, _o.name, _o.display_name, _o.suspended_at, _m.id.label("membership_id"))
        .select_from(Organization.__table__.outerjoin(Membership.__table__, mine))
        .where(where)
    )


_BY_ID = Prepared(_membership(_o.id == bindparam("value")))
_BY_NAME = Prepared(_membership(_o.name == bindparam("value")))
_OF_USER = (
    _membership(_m.user_id == bindparam("user_id"))
    .where(_o.suspended_at.is_(None))
    .order_by(_o.name)
    .limit(_PICKER_LIMIT)
)


@dataclass(frozen=True, slots=True)
class MemberOrganization:
    """An organization in which the user may act, with the membership that says so."""

    id: str
    name: str
    display_name: str | None
    membership_id: str


def resolve_organization(
    connection: Connection, value: str, *, user_id: str, names_allowed: bool = True
) -> MemberOrganization:
    """`value` is an id, or (for a person who has signed in, where the tenant allows it) a name.

    Unknown, deleted and another tenant's are one answer. Membership is asked before suspension, so that a stranger
    learns of neither.
    """
    row = _find(connection, value, user_id, names_allowed)
    if row is None:
        raise InvalidRequest(UNKNOWN)
    if row.membership_id is None:
        raise AccessDenied(NOT_A_MEMBER)
    if row.suspended_at is not None:
        raise AccessDenied(SUSPENDED)
    return _organization(row)


def organizations_of(connection: Connection, user_id: str) -> Sequence[MemberOrganization]:
    """Those the user may choose from, by name."""
    return [_organization(row) for row in connection.execute(_OF_USER, {"user_id": user_id})]


def _find(connection: Connection, value: str, user_id: str, names_allowed: bool) -> Row[Any] | None:
    if value.startswith(_ID_PREFIX):
        return _BY_ID.first(connection, {"value": value, "user_id": user_id})
    if not value or not names_allowed:
        return None
    return _BY_NAME.first(connection, {"value": value.lower(), "user_id": user_id})


def _organization(row: Row[Any]) -> MemberOrganization:
    return MemberOrganization(row.id, row.name, row.display_name, row.membership_id)
