"""Browser sessions: begun anew at every authentication, idle and absolute in lifetime, ended with what hangs on them.

Units and statements over `sessions`. The secret in the cookie changes with each authentication (ASVS 7.2.4), so what
somebody planted before a login is worth nothing after it; the session's id (`sid`) stays for the same person.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, or_, select, update

from core.crypto.sealing import DataKey
from core.database import Prepared
from core.database.sql import insert
from tenant_runtime.expiry import is_current
from tenant_runtime.login.cookies import api_token
from tenant_runtime.models import RefreshFamily, Session, SessionClient, SessionContext, User
from tenant_runtime.oauth.backchannel_logout import Initiator, tell_clients
from tenant_runtime.oauth.tokens.families import end_family
from tenant_runtime.tenant_settings import TenantSettings

TOUCH_MS = 60_000
"""A session's last use is written at most once a minute."""

_HOUR_MS = 3_600_000
_s = Session.__table__.c
_u = User.__table__.c
_f = RefreshFamily.__table__.c

_j = SessionClient.__table__.c
_IS_JOINED = exists().where(_j.session_id == _s.id, _j.client_id == bindparam("client")).label("is_joined")
_LOAD = Prepared(
    select(
        _IS_JOINED,
        _s.id,
        _s.user_id,
        _s.authenticated_at,
        _s.amr,
        _s.seen_at,
        _s.expires_at,
        _u.email,
        _u.name,
    )
    .join(User.__table__, _u.user_id == _s.user_id)
    .where(
        _s.token_digest == bindparam("digest"),
        _s.issuer == bindparam("issuer"),
        _s.ended_at.is_(None),
        is_current(Session.__table__, "authenticated_at"),
        _s.idle_expires_at > bindparam("now"),
        _u.blocked.is_(False),
        _u.sessions_valid_from <= _s.authenticated_at,
    )
)
_LAPSE = (
    update(Session.__table__)
    .where(
        _s.token_digest == bindparam("digest"),
        _s.idle_expires_at > 0,
        or_(_s.expires_at <= bindparam("now"), _s.idle_expires_at <= bindparam("now")),
    )
    .values(idle_expires_at=0)
)
_INSERT = Prepared(insert(Session.__table__))
_RENEW = Prepared(
    update(Session.__table__)
    .where(_s.id == bindparam("session"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "token_digest",
                "authenticated_at",
                "amr",
                "seen_at",
                "idle_expires_at",
                "expires_at",
                "ip",
                "user_agent",
            )
        }
    )
)
_TOUCH = Prepared(
    update(Session.__table__)
    .where(_s.id == bindparam("session"))
    .values(seen_at=bindparam("now"), idle_expires_at=bindparam("idle"))
)
_END = (
    update(Session.__table__)
    .where(_s.id == bindparam("session"), _s.ended_at.is_(None))
    .values(ended_at=bindparam("now"))
)
_FAMILIES = select(_f.id, _f.client_id, _f.scope).where(
    _f.session_id == bindparam("session"), _f.revoked_at.is_(None)
)
_CONTEXT = insert(SessionContext.__table__)
_NEW_CONTEXT = ("token", "connection_id", "remembers", "updated_at")
_KEEP_CONTEXT = Prepared(
    _CONTEXT.on_conflict_do_update(
        index_elements=["session_id"], set_={name: _CONTEXT.excluded[name] for name in _NEW_CONTEXT}
    )
)
_JOIN = Prepared(insert(SessionClient.__table__).on_conflict_do_nothing())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """In milliseconds."""

    absolute: int
    idle: int

    @classmethod
    def of(cls, settings: TenantSettings) -> "Lifetimes":
        absolute = int(settings.session_lifetime * _HOUR_MS)
        return cls(absolute=absolute, idle=min(absolute, int(settings.idle_session_lifetime * _HOUR_MS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """An authentication that has happened, and the browser it happened in. `remembers`: its cookies outlive the
    browser."""

    id: str
    token_digest: str
    issuer: str
    user_id: str
    now: int
    amr: tuple[str, ...]
    lifetimes: Lifetimes
    ip: str | None
    user_agent: str | None
    data_key: DataKey = field(repr=False)
    connection_id: str | None = None
    remembers: bool = True
    has_context: bool
    """Whether the tenant's database has a place for it yet."""


def load_session(
    connection: Connection, digest: str | None, now: int, issuer: str, *, client_id: str = ""
) -> Row[Any] | None:
    """The live session of a cookie: not ended, not too old, of this issuer, and of a user who may still sign in.

    `is_joined` says whether the client already takes part in it.
    """
    if digest is None:
        return None
    values = {"digest": digest, "now": now, "issuer": issuer, "client": client_id}
    return _LOAD.first(connection, values)


def session_here(
    connection: Connection, digest: str | None, now: int, issuer: str, *, client_id: str = ""
) -> Row[Any] | None:
    """As `load_session`, in a unit that writes: one that has run its time stays over, wherever the clock goes."""
    found = load_session(connection, digest, now, issuer, client_id=client_id)
    if found is None and digest is not None:
        connection.execute(_LAPSE, {"digest": digest, "now": now})
    return found


def begin_session(connection: Connection, new: NewSession, previous_digest: str | None) -> str:
    """Answers the session's id. The browser's earlier session goes on under a new secret if it is the same
    person's, and ends otherwise."""
    previous = session_here(connection, previous_digest, new.now, new.issuer)
    values = _values(new)
    if previous is not None and previous.user_id == new.user_id:
        _RENEW.run(connection, {"session": previous.id} | {f"new_{k}": v for k, v in values.items()})
        _keep_context(connection, new, previous.id)
        return str(previous.id)
    if previous is not None:
        end_session(connection, new.data_key, previous.id, new.now, why=Initiator.SESSION_REVOKED)
    _INSERT.run(
        connection,
        {"id": new.id, "issuer": new.issuer, "user_id": new.user_id, "created_at": new.now, "ended_at": None}
        | values,
    )
    _keep_context(connection, new, new.id)
    return new.id


def _keep_context(connection: Connection, new: NewSession, session_id: str) -> None:
    """Who authenticates again is still in the organization that they were in."""
    if not new.has_context:
        return
    values = {
        "session_id": session_id,
        "token": api_token(new.data_key, new.token_digest),
        "connection_id": new.connection_id,
        "active_organization_id": None,
        "active_team_id": None,
        "remembers": new.remembers,
        "updated_at": new.now,
    }
    _KEEP_CONTEXT.run(connection, values)


def touch_session(connection: Connection, session: Row[Any], now: int, lifetimes: Lifetimes) -> None:
    if not 0 <= now - session.seen_at < TOUCH_MS:
        idle = min(session.expires_at, now + lifetimes.idle)
        _TOUCH.run(connection, {"session": session.id, "now": now, "idle": idle})


def end_session(
    connection: Connection,
    data_key: DataKey,
    session_id: str,
    now: int,
    *,
    why: Initiator,
    kept_clients: frozenset[str] = frozenset(),
) -> bool:
    """Ends the session and its refresh families; clients in `kept_clients` keep those with offline_access. The
    clients that took part are told (`Deliveries.soon` after the commit)."""
    ended = connection.execute(_END, {"session": session_id, "now": now}).rowcount == 1
    if ended:
        tell_clients(connection, data_key, _s.id == session_id, why, now)
    families = connection.execute(_FAMILIES, {"session": session_id}).all()
    for family in families:
        if family.client_id not in kept_clients or "offline_access" not in family.scope.split():
            end_family(connection, family.id, now_ms=now, reason="logout")
    return ended


def join_session(connection: Connection, session: Row[Any], client_id: str) -> None:
    """Which clients are to be told of its end."""
    if not session.is_joined:
        _JOIN.run(connection, {"session_id": session.id, "client_id": client_id})


def _values(new: NewSession) -> dict[str, Any]:
    return {
        "token_digest": new.token_digest,
        "authenticated_at": new.now,
        "amr": list(new.amr),
        "seen_at": new.now,
        "idle_expires_at": new.now + new.lifetimes.idle,
        "expires_at": new.now + new.lifetimes.absolute,
        "ip": new.ip,
        "user_agent": new.user_agent,
    }
