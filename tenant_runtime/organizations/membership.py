"""May this user act in this organization, now? Asked in the unit that issues, each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    insert,
    not_,
    or_,
    select,
)

from core.database import Prepared
from core.errors import AccessDenied, InvalidRequest
from tenant_runtime.models import (
    Identity,
    Membership,
    MembershipOrganizationRole,
    Organization,
    OrganizationConnection,
)
from tenant_runtime.organizations.rules import OrganizationRules

UNKNOWN = "The organization is unknown."
NOT_A_MEMBER = "The user is not a member of this organization."
SUSPENDED = "This organization is suspended."
CLOSED = "The organization does not take the way in which the user logs in."
MEMBER = "member"
"""What every member is to the organization itself."""

_ID_PREFIX = "org_"
_PICKER_LIMIT = 200

_o = Organization.__table__.c
_m = Membership.__table__.c
_way, _i = OrganizationConnection.__table__.c, Identity.__table__.c
_CHOOSES = exists().where(_way.organization_id == _o.id)
_TAKES_USER = exists().where(
    _way.organization_id == _o.id,
    _way.connection_id == _i.connection_id,
    _i.user_id == bindparam("user_id"),
)
_IS_OPEN = or_(not_(_CHOOSES), _TAKES_USER)
"""One that says nothing of connections takes all; else one of the user's must be among them."""


def _membership(where: ColumnElement[bool], *is_open: ColumnElement[bool]) -> Select[Any]:
    mine = and_(_m.organization_id == _o.id, _m.user_id == bindparam("user_id"))
    told = [_m.id.label("membership_id"), *(each.label("is_open") for each in is_open)]
    return (
        select(_o.id, _o.name, _o.display_name, _o.suspended_at, *told)
        .select_from(Organization.__table__.outerjoin(Membership.__table__, mine))
        .where(where)
    )


def _of_user(*is_open: ColumnElement[bool]) -> Select[Any]:
    standing = _membership(_m.user_id == bindparam("user_id")).where(_o.suspended_at.is_(None), *is_open)
    return standing.order_by(_o.name).limit(_PICKER_LIMIT)


_IS_ID, _IS_NAME = _o.id == bindparam("value"), _o.name == bindparam("value")
_OPEN = Prepared(select(_o.id).where(_IS_ID, _IS_OPEN))
_BY_ID = {True: Prepared(_membership(_IS_ID, _IS_OPEN)), False: Prepared(_membership(_IS_ID))}
_BY_NAME = {True: Prepared(_membership(_IS_NAME, _IS_OPEN)), False: Prepared(_membership(_IS_NAME))}
_OF_USER = {True: _of_user(_IS_OPEN), False: _of_user()}
_JOINABLE = select(_o.id).where(
    _o.managed_by.is_(None),
    _o.suspended_at.is_(None),
    exists().where(
        _way.organization_id == _o.id,
        _way.assign_membership_on_login.is_(True),
        _way.connection_id == _i.connection_id,
        _i.user_id == bindparam("user_id"),
    ),
)
_SIGN_UP = select(
    _CHOOSES.label("chooses"),
    exists()
    .where(
        _way.organization_id == _o.id,
        _way.connection_id == bindparam("connection"),
        _way.is_signup_enabled.is_(True),
    )
    .label("is_open"),
).select_from(Organization.__table__)
_CONNECTIONS = select(_way.connection_id).join(Organization.__table__, _o.id == _way.organization_id)


class NotAMember(AccessDenied):
    description = NOT_A_MEMBER


@dataclass(frozen=True, slots=True)
class MemberOrganization:
    """An organization in which the user may act, with the membership that says so."""

    id: str
    name: str
    display_name: str | None
    membership_id: str


def resolve_organization(
    connection: Connection, value: str, *, user_id: str, rules: OrganizationRules
) -> MemberOrganization:
    """`value` is an id, or (for a person who has signed in, where the tenant allows it) a name.

    Unknown, deleted and another tenant's are one answer. Membership is asked before suspension and connections, so that
    a stranger learns of none.
    """
    row = _find(connection, value, user_id, rules)
    if row is None:
        raise InvalidRequest(UNKNOWN)
    if row.membership_id is None:
        raise NotAMember()
    if row.suspended_at is not None:
        raise AccessDenied(SUSPENDED)
    if rules.chooses and not row.is_open:
        raise AccessDenied(CLOSED)
    return _organization(row)


def require_open(
    connection: Connection, organization_id: str | None, user_id: str, rules: OrganizationRules
) -> None:
    """Of one in which the user acts already: it may take other connections than when they began."""
    if organization_id is None or not rules.chooses:
        return
    if _OPEN.first(connection, {"value": organization_id, "user_id": user_id}) is None:
        raise AccessDenied(CLOSED)


def organizations_of(
    connection: Connection, user_id: str, rules: OrganizationRules
) -> Sequence[MemberOrganization]:
    """Those the user may choose from, by name."""
    rows = connection.execute(_OF_USER[rules.chooses], {"user_id": user_id})
    return [_organization(row) for row in rows]


def join_by_connection(
    connection: Connection,
    value: str,
    *,
    user_id: str,
    membership_id: str,
    rules: OrganizationRules,
    now: int,
) -> bool:
    """Who logs in by a connection that brings membership becomes a member. Never of an organization that stands for a
    tenant: whose member one is there decides whom one may manage."""
    named = _named(value, rules)
    if named is None or not rules.chooses:
        return False
    where, known = named
    found = connection.execute(_JOINABLE.where(where), {**known, "user_id": user_id}).scalar_one_or_none()
    if found is None:
        return False
    row = {"id": membership_id, "organization_id": found, "user_id": user_id, "created_at": now}
    connection.execute(insert(Membership.__table__), row)
    connection.execute(
        insert(MembershipOrganizationRole.__table__), {"membership_id": membership_id, "role": MEMBER}
    )
    return True


def may_sign_up(connection: Connection, value: str, connection_id: str, rules: OrganizationRules) -> bool:
    """Whether people make themselves accounts on their way into this organization. What is not one is for later."""
    named = _named(value, rules)
    if named is None or not rules.chooses:
        return True
    where, known = named
    row = connection.execute(_SIGN_UP.where(where), {**known, "connection": connection_id}).one_or_none()
    return row is None or not row.chooses or row.is_open


def connections_of(connection: Connection, value: str, rules: OrganizationRules) -> frozenset[str]:
    """Those it takes; none where it says nothing of them, or there is no such organization."""
    named = _named(value, rules)
    if named is None or not rules.chooses:
        return frozenset()
    where, known = named
    return frozenset(connection.execute(_CONNECTIONS.where(where), known).scalars())


def _named(value: str, rules: OrganizationRules) -> tuple[ColumnElement[bool], dict[str, str]] | None:
    if value.startswith(_ID_PREFIX):
        return _IS_ID, {"value": value}
    if not value or not rules.names_allowed:
        return None
    return _IS_NAME, {"value": value.lower()}


def _find(connection: Connection, value: str, user_id: str, rules: OrganizationRules) -> Row[Any] | None:
    if value.startswith(_ID_PREFIX):
        return _BY_ID[rules.chooses].first(connection, {"value": value, "user_id": user_id})
    if not value or not rules.names_allowed:
        return None
    return _BY_NAME[rules.chooses].first(connection, {"value": value.lower(), "user_id": user_id})


def _organization(row: Row[Any]) -> MemberOrganization:
    return MemberOrganization(row.id, row.name, row.display_name, row.membership_id)
