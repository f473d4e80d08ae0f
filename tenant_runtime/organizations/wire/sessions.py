"""The session behind a call: the tenant's own browser session, by the token that its API cookie shows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from core.database import Prepared
from tenant_runtime.expiry import is_current
from tenant_runtime.models import Session, SessionContext, User
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.shapes import date

_s, _c, _u = Session.__table__.c, SessionContext.__table__.c, User.__table__.c
_IS_LIVE = (
    _s.ended_at.is_(None),
    is_current(Session.__table__, "authenticated_at"),
    _s.idle_expires_at > bindparam("now"),
    _u.blocked.is_(False),
    _u.sessions_valid_from <= _s.authenticated_at,
)
_LIVE = (
    select(
        _s.id,
        _s.user_id,
        _s.authenticated_at,
        _s.created_at,
        _s.seen_at,
        _s.expires_at,
        _s.idle_expires_at,
        _s.ip,
        _s.user_agent,
        _c.token,
        _c.connection_id,
        _c.active_organization_id,
        _c.active_team_id,
        _c.remembers,
        _c.updated_at,
        _u.email,
        _u.email_verified,
        _u.name,
        _u.picture,
        _u.created_at.label("user_created_at"),
        _u.updated_at.label("user_updated_at"),
    )
    .select_from(
        SessionContext.__table__.join(Session.__table__, _s.id == _c.session_id).join(
            User.__table__, _u.user_id == _s.user_id
        )
    )
    .where(*_IS_LIVE)
)
_LOAD = Prepared(_LIVE.where(_c.token == bindparam("token"), _s.issuer == bindparam("issuer")))
_STANDS = Prepared(
    select(_s.id)
    .join(User.__table__, _u.user_id == _s.user_id)
    .where(_s.id == bindparam("session"), *_IS_LIVE)
)
_OF_USER = Prepared(_LIVE.where(_s.user_id == bindparam("user")).order_by(_s.created_at.desc(), _s.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSession:
    """Who asks, and what they are in the middle of. The organization and the team are what the session says: whether
    the person still belongs to them is asked in the unit that acts."""

    id: str
    token: str
    user_id: str
    email: str | None
    email_verified: bool
    name: str | None
    picture: str | None
    user_created_at: int
    user_updated_at: int
    connection_id: str | None
    active_organization_id: str | None
    active_team_id: str | None
    remembers: bool
    authenticated_at: int
    created_at: int
    updated_at: int
    seen_at: int
    expires_at: int
    idle_expires_at: int
    ip: str | None
    user_agent: str | None

    def shown(self, options: OrganizationOptions) -> dict[str, Any]:
        """`specs/organization-api.md` B.4: the session object. Where there are no teams it tells of none."""
        in_team = {"activeTeamId": self.active_team_id} if options.teams.enabled else {}
        return {
            "id": self.id,
            "userId": self.user_id,
            "token": self.token,
            "expiresAt": date(min(self.expires_at, self.idle_expires_at)),
            "createdAt": date(self.created_at),
            "updatedAt": date(self.updated_at),
            "ipAddress": self.ip or "",
            "userAgent": self.user_agent or "",
            "activeOrganizationId": self.active_organization_id,
            **in_team,
        }

    def shown_user(self) -> dict[str, Any]:
        """The user object."""
        return {
            "id": self.user_id,
            "name": self.name or "",
            "email": self.email or "",
            "emailVerified": self.email_verified,
            "image": self.picture,
            "createdAt": date(self.user_created_at),
            "updatedAt": date(self.user_updated_at),
        }


def load_api_session(connection: Connection, token: str, issuer: str, now: int) -> ApiSession | None:
    row: Row[Any] | None = _LOAD.first(connection, {"token": token, "issuer": issuer, "now": now})
    return None if row is None else ApiSession(**row._asdict())


def stands(connection: Connection, session_id: str, now: int) -> bool:
    """Whatever secret it goes on under by now."""
    return _STANDS.first(connection, {"session": session_id, "now": now}) is not None


def live_sessions_of(connection: Connection, user_id: str, now: int) -> list[ApiSession]:
    """At any of the tenant's hosts, the newest first."""
    rows = _OF_USER.rows(connection, {"user": user_id, "now": now})
    return [ApiSession(**row._asdict()) for row in rows]
