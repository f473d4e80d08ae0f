"""What ends in the same transaction as its reason: sessions and refresh families of a user or an organization."""

from sqlalchemy import ColumnElement, Connection, update

from tenant_runtime.models import AccessToken, AuthorizationCode, RefreshFamily, Session, User

_user, _session = User.__table__.c, Session.__table__.c
_family, _code, _token = RefreshFamily.__table__.c, AuthorizationCode.__table__.c, AccessToken.__table__.c


def end_logins(connection: Connection, user_id: str, now: int) -> None:
    """Blocked, or given a new password: every session, code and token begun before now is dead."""
    connection.execute(update(User.__table__).where(_user.user_id == user_id).values(sessions_valid_from=now))
    of_user = _session.user_id == user_id
    connection.execute(
        update(Session.__table__).where(of_user, _session.ended_at.is_(None)).values(ended_at=now)
    )
    _end_tokens(
        connection, now, _family.user_id == user_id, _code.user_id == user_id, _token.user_id == user_id
    )


def end_membership(connection: Connection, organization_id: str, user_id: str, now: int) -> None:
    """A removed member keeps the session, not what was issued for the organization."""
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
