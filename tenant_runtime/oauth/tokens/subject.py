"""The person a token is about, as they stand in the unit that issues or accepts it.

One statement answers everything that may have changed since the login: blocked or deleted, password changed,
session ended, membership taken away, organization suspended, family revoked, what the organization asks of a log-in.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, literal, select

from core.database import Prepared
from core.errors import InvalidClient, InvalidGrant
from tenant_runtime.models import Membership, Organization, Session, User
from tenant_runtime.oauth.clients.authentication import STILL_HOLDS, AuthenticatedClient, still_holds
from tenant_runtime.oauth.tokens.families import REVOKED
from tenant_runtime.organizations.policies import LoggedIn, Terms, Unmet, asked_of, terms_of, unmet
from tenant_runtime.organizations.rules import Asking, OrganizationRules

_u, _s, _o, _m = (model.__table__.c for model in (User, Session, Organization, Membership))
_USER_COLUMNS = [column for column in _u if column.name not in ("user_metadata", "app_metadata")]


def _statement(*, asking: Asking | None, for_client: bool) -> Select[Any]:
    tables: Any = User.__table__.outerjoin(Session.__table__, _s.id == bindparam("session_id"))
    organization: list[Any] = [literal(None).label("membership_id")]
    if asking is not None:
        mine = and_(_m.organization_id == _o.id, _m.user_id == _u.user_id)
        tables = tables.outerjoin(Organization.__table__, _o.id == bindparam("organization_id"))
        tables = tables.outerjoin(Membership.__table__, mine)
        organization = [
            _m.id.label("membership_id"),
            _o.name.label("organization_name"),
            _o.suspended_at.label("organization_suspended_at"),
            *asked_of(asking),
        ]
    session = [
        _s.id.label("found_session_id"),
        _s.ended_at.label("session_ended_at"),
        _s.authenticated_at.label("session_authenticated_at"),
    ]
    client = [STILL_HOLDS.label("client_holds")] if for_client else []
    columns = [*client, *_USER_COLUMNS, *session, *organization, REVOKED.label("family_revoked")]
    return select(*columns).select_from(tables).where(_u.user_id == bindparam("user_id"))


_STATEMENTS = {
    (asking, for_client): Prepared(_statement(asking=asking, for_client=for_client))
    for asking in (None, *Asking)
    for for_client in (False, True)
}


@dataclass(frozen=True, slots=True)
class OrganizationClaims:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Subject:
    user: Row[Any]
    organization_id: str | None
    terms: Terms | None = None
    """What the organization asks of a log-in, if anything."""

    @property
    def organization(self) -> OrganizationClaims | None:
        if self.organization_id is None:
            return None
        return OrganizationClaims(self.organization_id, self.user.organization_name)

    @property
    def session_ended(self) -> bool:
        return self.user.session_ended_at is not None

    @property
    def session_found(self) -> bool:
        return self.user.found_session_id is not None

    @property
    def session_is_dead(self) -> bool:
        """Ended, or from before the user's sessions were. One that is gone has run its time, which ends no token."""
        if not self.session_found:
            return False
        is_old: bool = self.user.session_authenticated_at < self.user.sessions_valid_from
        return self.session_ended or is_old

    def refusal(self, authenticated_at: int) -> str | None:
        """Why this person gets nothing, or None; `authenticated_at` is when they logged in for it."""
        user = self.user
        if user.blocked:
            return "The user is blocked."
        if authenticated_at < user.sessions_valid_from:
            return "The user's sessions were ended."
        if user.family_revoked:
            return "The authorization was revoked."
        if self.organization_id is None:
            return None
        if user.membership_id is None:
            return "The user is no longer a member of the organization."
        return "The organization is suspended." if user.organization_suspended_at is not None else None

    def unmet(self, connection: Connection, login: LoggedIn, now_ms: int) -> Unmet | None:
        """What the organization asks, and this log-in is not."""
        return unmet(connection, self.terms, login, self.user.user_id, now_ms)

    def require_met(self, connection: Connection, login: LoggedIn, now_ms: int) -> None:
        """To whom another log-in would help, the token endpoint says so in its own words."""
        refused = self.unmet(connection, login, now_ms)
        if refused is not None:
            raise InvalidGrant(refused.description) if refused.login_helps else refused


def load_subject(
    connection: Connection,
    *,
    user_id: str,
    session_id: str | None,
    organization_id: str | None,
    family_id: str,
    jti: str = "",
    consent: str = "",
    membership: str = "",
    issued_at: int = 0,
    client: AuthenticatedClient | None = None,
    now_ms: int = 0,
    rules: OrganizationRules | None = None,
    connection_id: str | None = None,
) -> Subject | None:
    """None: the user was deleted. Of a token that is shown: its `jti`, the consent and the membership it rests on, and
    when it was issued (milliseconds, the last of its second). With `client`, it too is looked at again, in the same
    statement. Without `rules` nothing is asked of a log-in, for there was none. `connection_id`: the log-in's, where it
    is known by other means than the session and the family.
    """
    values: dict[str, Any] = {
        "user_id": user_id,
        "session_id": session_id,
        "family_id": family_id,
        "jti": jti,
        "consent": consent,
        "membership": membership,
        "issued_at": issued_at,
    }
    asking = None
    if organization_id is not None:
        asking = rules.asking if rules is not None else Asking.NOTHING
        login = LoggedIn(session_id=session_id, family_id=family_id, connection_id=connection_id)
        values |= {"organization_id": organization_id, **login.values}
    if client is not None:
        values |= still_holds(client, now_ms)
    statement = _STATEMENTS[asking, client is not None]
    row = statement.first(connection, values)
    if row is None:
        return None
    if client is not None and not row.client_holds:
        raise InvalidClient
    return Subject(row, organization_id, None if asking is None else terms_of(row, organization_id or ""))


def login_behind(approval: Row[Any]) -> LoggedIn:
    """Of what somebody approved: a code's row, or a device's."""
    return LoggedIn(
        session_id=approval.session_id,
        family_id=approval.family_id,
        authenticated_at=approval.authenticated_at,
        amr=tuple(approval.amr),
    )


def redemption_problem(
    connection: Connection, subject: Subject | None, approval: Row[Any], how: LoggedIn, now_ms: int
) -> str | None:
    """Why what somebody approved is not redeemed any more."""
    if subject is None:
        return "The user does not exist."
    if approval.session_id is not None and (subject.session_ended or not subject.session_found):
        return "The session has ended."
    problem = subject.refusal(approval.authenticated_at)
    if problem is not None:
        return problem
    refused = subject.unmet(connection, how, now_ms)
    return refused.description if refused is not None else None
