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
    select,
)

from core.database import Prepared
from core.errors import AccessDenied, InvalidRequest
from tenant_runtime.models import Membership, Organization, OrganizationConnection
from tenant_runtime.organizations.policies import LoggedIn, Suspended, Unmet, asked_of, terms_of, unmet
from tenant_runtime.organizations.policies.terms import CHOOSES, is_way_of_login
from tenant_runtime.organizations.rules import Asking, OrganizationRules

UNKNOWN = "The organization is unknown."
NOT_A_MEMBER = "The user is not a member of this organization."
MEMBER = "member"
"""What every member is to the organization itself."""

_ID_PREFIX = "org_"
_PICKER_LIMIT = 200

_o = Organization.__table__.c
_m = Membership.__table__.c
_way = OrganizationConnection.__table__.c


def _membership(where: ColumnElement[bool], asking: Asking) -> Select[Any]:
    mine = and_(_m.organization_id == _o.id, _m.user_id == bindparam("user_id"))
    return (
        select(
            _o.id,
            _o.name,
            _o.display_name,
            _o.suspended_at,
            _m.id.label("membership_id"),
            *asked_of(asking),
        )
        .select_from(Organization.__table__.outerjoin(Membership.__table__, mine))
        .where(where)
    )


def _of_user(asking: Asking) -> Select[Any]:
    standing = _membership(_m.user_id == bindparam("user_id"), asking).where(_o.suspended_at.is_(None))
    return standing.order_by(_o.name).limit(_PICKER_LIMIT)


_IS_ID, _IS_NAME = _o.id == bindparam("value"), _o.name == bindparam("value")
_BY_ID = {asking: Prepared(_membership(_IS_ID, asking)) for asking in Asking}
_BY_NAME = {asking: Prepared(_membership(_IS_NAME, asking)) for asking in Asking}
_OF_USER = {asking: Prepared(_of_user(asking)) for asking in Asking}
_MAY_LET_IN = (_o.managed_by.is_(None), _o.suspended_at.is_(None))
"""Whose member one is there decides nothing about a tenant."""

_OPEN_TO_MORE = select(_o.id).where(*_MAY_LET_IN)
_BRINGS = {
    asking: select(_o.id).where(
        *_MAY_LET_IN,
        exists().where(
            _way.organization_id == _o.id, _way.assign_membership_on_login.is_(True), is_way_of_login(asking)
        ),
    )
    for asking in (Asking.ACCOUNTS, Asking.LOGINS)
}
_SIGN_UP = select(
    CHOOSES.label("chooses"),
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
    """An organization in which the user may act, with the membership that says so. `unmet`: only after another
    log-in."""

    id: str
    name: str
    display_name: str | None
    membership_id: str
    unmet: Unmet | None = None


def resolve_organization(
    connection: Connection,
    value: str,
    *,
    user_id: str,
    rules: OrganizationRules,
    login: LoggedIn | None,
    now: int,
) -> MemberOrganization:
    """`value` is an id, or (for a person who has signed in, where the tenant allows it) a name. `login` None: somebody
    else acts for the person, who did not log in.

    Unknown, deleted and another tenant's are one answer. Membership is asked before suspension and what the
    organization asks, so that a stranger learns of none.
    """
    asking = rules.asking if login is not None else Asking.ACCOUNTS
    login = login or LoggedIn()
    row = _find(connection, value, {"user_id": user_id, **login.values}, rules, asking)
    if row is None:
        raise InvalidRequest(UNKNOWN)
    if row.membership_id is None:
        raise NotAMember()
    if row.suspended_at is not None:
        raise Suspended()
    refused = unmet(connection, terms_of(row, row.id), login, user_id, now)
    if refused is not None:
        raise refused
    return _organization(row)


def organizations_of(
    connection: Connection, user_id: str, rules: OrganizationRules, login: LoggedIn, now: int
) -> Sequence[MemberOrganization]:
    """Those the user may choose from, by name."""
    rows = _OF_USER[rules.asking].rows(connection, {"user_id": user_id, **login.values})
    found = [
        _organization(row, unmet(connection, terms_of(row, row.id), login, user_id, now)) for row in rows
    ]
    return [one for one in found if one.unmet is None or one.unmet.login_helps]


def open_to_more(connection: Connection, value: str, rules: OrganizationRules) -> str | None:
    """The id of an organization that may let people in by itself: never one that stands for a tenant."""
    named = _named(value, rules)
    if named is None:
        return None
    where, known = named
    return connection.execute(_OPEN_TO_MORE.where(where), known).scalar_one_or_none()


def brought_by_connection(
    connection: Connection, value: str, user_id: str, rules: OrganizationRules, login: LoggedIn
) -> str | None:
    """The id of the organization, where the connection of this log-in brings membership."""
    named = _named(value, rules)
    if named is None:
        return None
    where, known = named
    values = {**known, "user_id": user_id, **(login.values if rules.has_settings else {})}
    return connection.execute(_BRINGS[rules.asking].where(where), values).scalar_one_or_none()


def may_sign_up(connection: Connection, value: str, connection_id: str, rules: OrganizationRules) -> bool:
    """Whether people make themselves accounts on their way into this organization. What is not one is for later."""
    named = _named(value, rules)
    if named is None:
        return True
    where, known = named
    row = connection.execute(_SIGN_UP.where(where), {**known, "connection": connection_id}).one_or_none()
    return row is None or not row.chooses or row.is_open


def connections_of(connection: Connection, value: str, rules: OrganizationRules) -> frozenset[str]:
    """Those it takes; none where it says nothing of them, or there is no such organization."""
    named = _named(value, rules)
    if named is None:
        return frozenset()
    where, known = named
    return frozenset(connection.execute(_CONNECTIONS.where(where), known).scalars())


def is_id(value: str) -> bool:
    return value.startswith(_ID_PREFIX)


def _named(value: str, rules: OrganizationRules) -> tuple[ColumnElement[bool], dict[str, str]] | None:
    if is_id(value):
        return _IS_ID, {"value": value}
    if not value or not rules.names_allowed:
        return None
    return _IS_NAME, {"value": value.lower()}


def _find(
    connection: Connection, value: str, who: dict[str, Any], rules: OrganizationRules, asking: Asking
) -> Row[Any] | None:
    if is_id(value):
        return _BY_ID[asking].first(connection, {"value": value, **who})
    if not value or not rules.names_allowed:
        return None
    return _BY_NAME[asking].first(connection, {"value": value.lower(), **who})


def _organization(row: Row[Any], refused: Unmet | None = None) -> MemberOrganization:
    return MemberOrganization(row.id, row.name, row.display_name, row.membership_id, refused)
