"""What ends in the same transaction as its reason: sessions and refresh families of a user or an organization."""

from sqlalchemy import ColumnElement, Connection, update

from core.crypto.sealing import DataKey
from tenant_runtime.models import AccessToken, AuthorizationCode, RefreshFamily, Session, User
from tenant_runtime.oauth.backchannel_logout import Initiator, tell_clients
from tenant_runtime.organizations.leaving import leave_behind

_user, _session = User.__table__.c, Session.__table__.c
_family, _code, _token = RefreshFamily.__table__.c, AuthorizationCode.__table__.c, AccessToken.__table__.c


def end_logins(connection: Connection, data_key: DataKey, user_id: str, now: int, *, why: Initiator) -> None:
    """Blocked, or given a new password: every session, code and token begun before now is dead. Their clients are
    told (`Deliveries.soon` after the commit)."""
    tell_of_logins(connection, data_key, user_id, now, why=why)
    connection.execute(update(User.__table__).where(_user.user_id == user_id).values(sessions_valid_from=now))
    of_user = _session.user_id == user_id
    connection.execute(
        update(Session.__table__).where(of_user, _session.ended_at.is_(None)).values(ended_at=now)
    )
    _end_tokens(
        connection, now, _family.user_id == user_id, _code.user_id == user_id, _token.user_id == user_id
    )


def tell_of_logins(
    connection: Connection, data_key: DataKey, user_id: str, now: int, *, why: Initiator
) -> None:
    """The clients of the user's sessions, before these end or, with the user, are deleted."""
    are_alive = (_session.user_id == user_id) & _session.ended_at.is_(None) & (_session.expires_at > now)
    tell_clients(connection, data_key, are_alive, why, now)


def end_membership(connection: Connection, organization_id: str, user_id: str, now: int) -> None:
    """A removed member keeps the session, not what was issued for the organization, nor what they were there."""
    leave_behind(connection, organization_id, user_id, now)
    _end_tokens(
        connection,
        now,
        (_family.organization_id == organization_id) & (_family.user_id == user_id),
        (_code.organization_id == organization_id) & (_code.user_id == user_id),
        (_token.organization_id == organization_id) & (_token.user_id == user_id),
    )


def end_organization(connection: Connection, organization_id: str, now: int) -> None:
    _end_tokens(
        connection,
        now,
        _family.organization_id == organization_id,
        _code.organization_id == organization_id,
        _token.organization_id == organization_id,
    )


def _end_tokens(
    connection: Connection,
    now: int,
    families: ColumnElement[bool],
    codes: ColumnElement[bool],
    tokens: ColumnElement[bool],
) -> None:
    ending = (
        (RefreshFamily.__table__, families, _family.revoked_at),
        (AuthorizationCode.__table__, codes, _code.used_at),
        (AccessToken.__table__, tokens, _token.revoked_at),
    )
    for table, of_them, ended_at in ending:
        connection.execute(update(table).where(of_them, ended_at.is_(None)).values({ended_at: now}))
