"""What ends in the same transaction as its reason: sessions, tokens and memberships of a user or an organization."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, or_, update

from core.clock import next_second
from core.crypto.sealing import DataKey
from core.given import membership_name
from tenant_runtime.models import (
    AccessToken,
    AuthorizationCode,
    DeviceCode,
    Grant,
    Membership,
    RefreshFamily,
    RefreshToken,
    Session,
    User,
)
from tenant_runtime.oauth.backchannel_logout import Initiator, tell_clients
from tenant_runtime.oauth.tokens.families import withdraw
from tenant_runtime.organizations.invitations.taking_back import Reason
from tenant_runtime.organizations.joining.turned_away import remember_removal
from tenant_runtime.organizations.leaving import cancel_invitations_by, forget_member, leave_behind
from tenant_runtime.schema import has_organization_api

_user, _session, _m = User.__table__.c, Session.__table__.c, Membership.__table__.c
_family, _token = RefreshFamily.__table__.c, RefreshToken.__table__.c
_ISSUED = (
    (RefreshFamily.__table__, _family.revoked_at),
    (AuthorizationCode.__table__, AuthorizationCode.__table__.c.used_at),
    (AccessToken.__table__, AccessToken.__table__.c.revoked_at),
    (DeviceCode.__table__, DeviceCode.__table__.c.used_at),
)


def end_logins(connection: Connection, data_key: DataKey, user_id: str, now: int, *, why: Initiator) -> None:
    """Blocked, or given a new password: every session, code and token begun before now is dead. Their clients are
    told (`Deliveries.soon` after the commit). Whoever is blocked has invited nobody."""
    tell_of_logins(connection, data_key, user_id, now, why=why)
    connection.execute(update(User.__table__).where(_user.user_id == user_id).values(sessions_valid_from=now))
    of_user = _session.user_id == user_id
    connection.execute(
        update(Session.__table__).where(of_user, _session.ended_at.is_(None)).values(ended_at=now)
    )
    _end_issued(connection, now, lambda issued: issued.user_id == user_id)
    if why is Initiator.ACCOUNT_DEACTIVATED:
        cancel_invitations_by(connection, user_id, Reason.BLOCKED, now)


def tell_of_logins(
    connection: Connection, data_key: DataKey, user_id: str, now: int, *, why: Initiator
) -> None:
    """The clients of the user's sessions, before these end or, with the user, are deleted."""
    are_alive = (_session.user_id == user_id) & _session.ended_at.is_(None) & (_session.expires_at > now)
    tell_clients(connection, data_key, are_alive, why, now)


def end_membership(
    connection: Connection, data_key: DataKey, organization_id: str, user_id: str, now: int
) -> bool:
    """The one way out of an organization for who stays a user, by whoever's will. The session stays; what was issued
    for the organization does not, nor does what they were there; and signing in does not make them a member again.
    Answers whether they were one."""
    was_member = _end_membership(connection, organization_id, user_id, now)
    if was_member and has_organization_api(connection):
        remember_removal(connection, data_key, organization_id, user_id, now)
    return was_member


def end_memberships(connection: Connection, user_id: str, now: int) -> None:
    """Of a user who is about to be deleted, however many there are: sessions and all that was issued go with their
    row."""
    cancel_invitations_by(connection, user_id, Reason.DELETED, now)
    forget_member(connection, user_id)
    connection.execute(delete(Membership.__table__).where(_m.user_id == user_id))


def end_tokens_there(connection: Connection, organization_id: str, user_id: str, now: int) -> None:
    """Of a member whose tenant roles are taken where they say who administers a tenant: access tokens tell what their
    holder might do, refresh tokens bring others."""
    name = membership_name(user_id, organization_id)
    withdraw(connection, name, now_ms=next_second(now), reason="tenant_roles_taken")


def end_organization(connection: Connection, organization_id: str, now: int) -> None:
    """Of one that is deleted. Memberships, teams, invitations and the places in sessions go with its row."""
    _end_issued(connection, now, lambda issued: issued.user_id.is_not(None), organization_id=organization_id)
    connection.execute(delete(Grant.__table__).where(Grant.__table__.c.organization_id == organization_id))


def _end_membership(connection: Connection, organization_id: str, user_id: str, now: int) -> bool:
    gone = delete(Membership.__table__).where(_m.organization_id == organization_id, _m.user_id == user_id)
    was_member = connection.execute(gone).rowcount > 0
    if was_member:
        name = membership_name(user_id, organization_id)
        withdraw(connection, name, now_ms=now, reason="membership_ended")
    leave_behind(connection, organization_id, user_id, now)
    _end_issued(connection, now, lambda issued: issued.user_id == user_id, organization_id=organization_id)
    return was_member


def _end_issued(
    connection: Connection,
    now: int,
    whose: Callable[[Any], ColumnElement[bool]],
    *,
    organization_id: str | None = None,
) -> None:
    for table, ended_at in _ISSUED:
        of_them = [whose(table.c), ended_at.is_(None)]
        if organization_id is not None:
            of_them.append(_is_for(table.c, organization_id))
        connection.execute(update(table).where(*of_them).values({ended_at: now}))


def _is_for(issued: Any, organization_id: str) -> ColumnElement[bool]:
    """A refresh token may have gone over to another organization than its family began in."""
    began_there: ColumnElement[bool] = issued.organization_id == organization_id
    if issued is not _family:
        return began_there
    is_there_now = exists().where(
        _token.family_id == _family.id,
        _token.organization_id == organization_id,
        _token.used_at.is_(None),
    )
    return or_(began_there, is_there_now)
