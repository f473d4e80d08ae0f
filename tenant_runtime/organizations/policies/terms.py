"""What an organization asks of a log-in, and whether this one will do.

`asked_of` are columns for the statement that asks about membership; `terms_of` reads them, and is None for an
organization that asks nothing more.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Row,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    type_coerce,
)

from core.database import Prepared
from core.errors import AccessDenied
from tenant_runtime.models import (
    FamilyLogin,
    Identity,
    Membership,
    Organization,
    OrganizationConnection,
    OrganizationSetting,
    SessionContext,
)
from tenant_runtime.organizations.domains.addresses import has_address_of
from tenant_runtime.organizations.policies.logins import LoggedIn, completed, has_two_factors
from tenant_runtime.organizations.policies.settings import OrganizationSettings, understood
from tenant_runtime.organizations.rules import Asking

CLOSED = "The organization does not take the way in which the user logs in."
TOO_OLD = "The organization asks for a more recent log-in."
ONE_FACTOR = "The organization asks for a second factor."
FOREIGN_ADDRESS = "The organization asks for a verified address in one of its domains."
SUSPENDED = "This organization is suspended."

_o, _m = Organization.__table__.c, Membership.__table__.c
_way, _i = OrganizationConnection.__table__.c, Identity.__table__.c
_said = OrganizationSetting.__table__.c
_family, _context = FamilyLogin.__table__.c, SessionContext.__table__.c

CHOOSES = exists().where(_way.organization_id == _o.id)
_CONNECTION: ColumnElement[Any] = func.coalesce(
    bindparam("login_connection", type_=String),
    select(_family.connection_id).where(_family.family_id == bindparam("login_family")).scalar_subquery(),
    select(_context.connection_id).where(_context.session_id == bindparam("login_session")).scalar_subquery(),
)
"""By which the person logged in; null where that was not written down (before schema 0006)."""


def is_way_of_login(asking: Asking) -> ColumnElement[bool]:
    """Of a row of `organization_connections`: the log-in's; by any of the user's accounts where that is not known."""
    is_of_account = exists().where(_i.connection_id == _way.connection_id, _i.user_id == bindparam("user_id"))
    if asking is Asking.ACCOUNTS:
        return is_of_account
    return or_(_way.connection_id == _CONNECTION, and_(_CONNECTION.is_(None), is_of_account))


def _has_way(asking: Asking) -> ColumnElement[bool]:
    return exists().where(_way.organization_id == _o.id, is_way_of_login(asking))


_CLOSED, _CLOSED_TO_THIS_LOGIN, _OPEN = 0, 1, 2
_OPENNESS: dict[Asking, ColumnElement[Any]] = {
    Asking.NOTHING: literal(_OPEN),
    Asking.ACCOUNTS: case((not_(CHOOSES), _OPEN), (_has_way(Asking.ACCOUNTS), _OPEN), else_=_CLOSED),
    Asking.LOGINS: case(
        (not_(CHOOSES), _OPEN),
        (_has_way(Asking.LOGINS), _OPEN),
        (_has_way(Asking.ACCOUNTS), _CLOSED_TO_THIS_LOGIN),
        else_=_CLOSED,
    ),
}
"""An organization that names no connection takes all of them, and the rest is not looked at."""


class Suspended(AccessDenied):
    """Nobody acts in it, whoever they are."""

    description = SUSPENDED


class Unmet(AccessDenied):
    """`login_helps`: whoever logs in again may be let in. `is_of_login`: more is asked than this log-in was, whether or
    not another one can be that."""

    def __init__(self, description: str, *, login_helps: bool, is_of_login: bool | None = None) -> None:
        super().__init__(description)
        self.login_helps = login_helps
        self.is_of_login = login_helps if is_of_login is None else is_of_login


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`has_account`: where it does not take this log-in, the user has an account at a connection that it takes."""

    organization_id: str
    is_open: bool
    has_account: bool
    settings: OrganizationSettings


def asked_of(asking: Asking) -> tuple[ColumnElement[Any], ...]:
    """Parameters: `user_id` and `LoggedIn.values`."""
    said = select(_said.settings).where(_said.organization_id == _o.id).scalar_subquery()
    settings = said if asking is Asking.LOGINS else null()
    return (
        _OPENNESS[asking].label("openness"),
        type_coerce(settings, JSON).label("organization_settings"),
    )


_STANDING = select(_o.id, _o.suspended_at, *asked_of(Asking.LOGINS)).select_from(Organization.__table__)
_BY_ID = Prepared(_STANDING.where(_o.id == bindparam("organization")))
_OF_MEMBER = Prepared(
    _STANDING.join(Membership.__table__, _m.organization_id == _o.id).where(
        _m.user_id == bindparam("user_id")
    )
)


def refused_in(
    connection: Connection, organization_id: str, session_id: str | None, user_id: str, now: int
) -> Suspended | Unmet | None:
    """Of a member who acts: by a browser's session; without one, nothing is asked of a log-in."""
    login = LoggedIn(session_id=session_id)
    row = _BY_ID.first(connection, {"organization": organization_id, "user_id": user_id, **login.values})
    return None if row is None else _refused(connection, row, login, user_id, now)


def closed_to(connection: Connection, session_id: str | None, user_id: str, now: int) -> set[str]:
    """The organizations of which the user is a member, and in which they may not act: one statement, and more only for
    those that ask something."""
    login = LoggedIn(session_id=session_id)
    rows = _OF_MEMBER.rows(connection, {"user_id": user_id, **login.values})
    return {row.id for row in rows if _refused(connection, row, login, user_id, now) is not None}


def _refused(
    connection: Connection, row: Row[Any], login: LoggedIn, user_id: str, now: int
) -> Suspended | Unmet | None:
    if row.suspended_at is not None:
        return Suspended()
    return (
        unmet(connection, terms_of(row, row.id), login, user_id, now)
        if login.session_id is not None
        else None
    )


def terms_of(row: Any, organization_id: str) -> Terms | None:
    if row.openness == _OPEN and row.organization_settings is None:
        return None
    return Terms(
        organization_id=organization_id,
        is_open=row.openness == _OPEN,
        has_account=row.openness == _CLOSED_TO_THIS_LOGIN,
        settings=understood(row.organization_settings),
    )


def unmet(
    connection: Connection, terms: Terms | None, login: LoggedIn, user_id: str, now: int
) -> Unmet | None:
    """What no log-in changes is said first."""
    if terms is None:
        return None
    if not terms.is_open:
        return Unmet(CLOSED, login_helps=terms.has_account)
    settings, known = terms.settings, completed(connection, login)
    if settings.require_domain and not has_address_of(connection, terms.organization_id, user_id):
        return Unmet(FOREIGN_ADDRESS, login_helps=False)
    if settings.require_mfa and not has_two_factors(known.amr or ()):
        return Unmet(ONE_FACTOR, login_helps=False, is_of_login=True)  # the pages know no second one
    if settings.session_max_age is not None and _is_older(known, settings.session_max_age, now):
        return Unmet(TOO_OLD, login_helps=True)
    return None


def _is_older(login: LoggedIn, seconds: int, now: int) -> bool:
    return login.authenticated_at is None or now - login.authenticated_at >= seconds * 1000
