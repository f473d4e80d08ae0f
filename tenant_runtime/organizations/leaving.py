"""What somebody leaves behind with an organization, in the transaction in which they leave it.

Tokens end with `management.endings.end_membership`, which calls this; the places are all that a membership opened.
"""

from sqlalchemy import Connection, delete, or_, select, update

from tenant_runtime.models import (
    AdditionalFields,
    Invitation,
    Membership,
    Session,
    SessionContext,
    Team,
    TeamMember,
    User,
)
from tenant_runtime.organizations.invitations.taking_back import Reason, take_back_for
from tenant_runtime.schema import has_organization_api

_c, _i, _t = SessionContext.__table__.c, Invitation.__table__.c, Team.__table__.c
_u, _m = User.__table__.c, Membership.__table__.c
_member, _session, _f = TeamMember.__table__.c, Session.__table__.c, AdditionalFields.__table__.c


def leave_behind(connection: Connection, organization_id: str, user_id: str, now: int) -> None:
    """Every session of theirs is in that organization no more, nor in one of its teams; what they invited to is taken
    back, for they may invite no longer."""
    if not has_organization_api(connection):
        return
    theirs = select(_session.id).where(_session.user_id == user_id)
    connection.execute(
        update(SessionContext.__table__)
        .where(_c.active_organization_id == organization_id, _c.session_id.in_(theirs))
        .values(active_organization_id=None, active_team_id=None, updated_at=now)
    )
    teams = select(_t.id).where(_t.organization_id == organization_id)
    connection.execute(
        delete(TeamMember.__table__).where(_member.user_id == user_id, _member.team_id.in_(teams))
    )
    kept_of_them = (_f.kind == "member", _f.organization_id == organization_id, _f.id == user_id)
    connection.execute(delete(AdditionalFields.__table__).where(*kept_of_them))
    theirs_there = (_i.inviter_id == user_id, _i.organization_id == organization_id)
    take_back_for(connection, Reason.GONE, now, *theirs_there)


def cancel_invitations_by(connection: Connection, user_id: str, reason: Reason, now: int) -> None:
    """Of all organizations: whoever is blocked or deleted invites nobody."""
    if has_organization_api(connection):
        take_back_for(connection, reason, now, _i.inviter_id == user_id)


def forget_member(connection: Connection, user_id: str) -> None:
    """Of whoever is about to be deleted: what was kept of them as a member, and which invitations they had."""
    if not has_organization_api(connection):
        return
    theirs_anywhere = select(_m.organization_id).where(_m.user_id == user_id)
    kept_of_them = (_f.kind == "member", _f.organization_id.in_(theirs_anywhere), _f.id == user_id)
    connection.execute(delete(AdditionalFields.__table__).where(*kept_of_them))
    address = select(_u.email).where(_u.user_id == user_id).scalar_subquery()
    theirs = or_(_i.accepted_by == user_id, (_i.email == address) & _i.accepted_by.is_(None))
    connection.execute(delete(Invitation.__table__).where(_i.status != "pending", theirs))


def cancel_all_invitations(connection: Connection, now: int) -> None:
    """In a database that was put back as it was: what became of them since, nobody knows any more."""
    if has_organization_api(connection):
        pending = update(Invitation.__table__).where(_i.status == "pending")
        connection.execute(pending.values(status="canceled", updated_at=now))
