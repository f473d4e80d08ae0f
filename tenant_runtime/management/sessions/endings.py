"""The end of chosen sessions, with what was issued in them. The whole of a user's is `management.endings`."""

from sqlalchemy import ColumnElement, Connection, select, union, update

from core.crypto.sealing import DataKey
from tenant_runtime.models import AccessToken, AuthorizationCode, RefreshFamily, Session
from tenant_runtime.oauth.backchannel_logout import Initiator, tell_clients
from tenant_runtime.oauth.tokens.families import end_family

_s, _f = Session.__table__.c, RefreshFamily.__table__.c
_c, _a = AuthorizationCode.__table__.c, AccessToken.__table__.c
OFFLINE = "offline_access"


def end_sessions(
    connection: Connection,
    data_key: DataKey,
    chosen: ColumnElement[bool],
    now: int,
    *,
    keeps_refresh_tokens: bool,
) -> list[str]:
    """Answers which ended. `Deliveries.soon` after the commit: their clients are told. With `keeps_refresh_tokens`
    what was issued for offline access goes on."""
    are_alive = chosen & _s.ended_at.is_(None)
    tell_clients(connection, data_key, are_alive & (_s.expires_at > now), Initiator.SESSION_REVOKED, now)
    ending = update(Session.__table__).where(are_alive).values(ended_at=now).returning(_s.id)
    ended = list(connection.execute(ending).scalars())
    for family_id in _issued_in(connection, ended, keeps_refresh_tokens) if ended else ():
        end_family(connection, family_id, now_ms=now, reason="session_revoked")
    return ended


def _issued_in(connection: Connection, sessions: list[str], keeps_refresh_tokens: bool) -> list[str]:
    families = connection.execute(
        select(_f.id, _f.scope).where(_f.session_id.in_(sessions), _f.revoked_at.is_(None))
    ).all()
    kept = {row.id for row in families if keeps_refresh_tokens and OFFLINE in row.scope.split()}
    others = connection.execute(
        union(
            select(_c.family_id).where(_c.session_id.in_(sessions)),
            select(_a.family_id).where(_a.session_id.in_(sessions)),
        )
    ).scalars()
    return sorted({*(row.id for row in families), *others} - kept)
