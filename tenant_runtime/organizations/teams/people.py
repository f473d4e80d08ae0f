"""Who is in a team: units of work."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, select, update

from core.database import Prepared
from core.database.sql import insert
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Membership, Session, SessionContext
from tenant_runtime.models import Team as TeamRow
from tenant_runtime.models import TeamMember as TeamMemberRow
from tenant_runtime.organizations.acting import Acting, acting_member, check_standing
from tenant_runtime.organizations.active import set_active
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.policies import closed_to
from tenant_runtime.organizations.teams.rows import (
    COLUMNS,
    Team,
    TeamMember,
    m,
    t,
    team_in,
    team_member,
    team_of,
)
from tenant_runtime.organizations.wire.errors import refusal

_member, _c, _session = Membership.__table__.c, SessionContext.__table__.c, Session.__table__.c
_MINE = TeamMemberRow.__table__.join(TeamRow.__table__, t.id == m.team_id).join(
    Membership.__table__,
    (_member.organization_id == t.organization_id) & (_member.user_id == m.user_id),
)
_OF_USER = (
    select(*COLUMNS).select_from(_MINE).where(m.user_id == bindparam("user")).order_by(t.created_at, t.id)
)
_OF_TEAM = Prepared(
    select(m.id, m.team_id, m.user_id, m.created_at)
    .where(m.team_id == bindparam("team"))
    .order_by(m.created_at, m.id)
)
_NUMBER = Prepared(select(func.count().label("number")).where(m.team_id == bindparam("team")))
_JOIN = insert(TeamMemberRow.__table__).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPlace:
    """A user in a team of an organization. `id`: of a member that is new."""

    id: str
    organization_id: str
    team_id: str
    user_id: str


def join_team(connection: Connection, new: TeamMember, options: OrganizationOptions) -> TeamMember:
    """Whoever is in it already stays as they are."""
    there = team_member(connection, new.team_id, new.user_id)
    if there is not None:
        return there
    check_team_room(connection, new.team_id, options)
    values = {"id": new.id, "team_id": new.team_id, "user_id": new.user_id, "created_at": new.created_at}
    connection.execute(_JOIN, values)
    return new


def check_team_room(connection: Connection, team_id: str, options: OrganizationOptions) -> None:
    maximum = options.teams.maximum_members_per_team
    if maximum is None:
        return
    if _NUMBER.rows(connection, {"team": team_id})[0].number >= maximum:
        raise refusal(403, "TEAM_MEMBER_LIMIT_REACHED")


def add_team_member(connection: Connection, acting: Acting, place: TeamPlace, event: Event) -> TeamMember:
    _check_place(
        connection, acting, place, "update", "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_TEAM_MEMBER",
        "You are not allowed to create a new member",
    )  # fmt: skip
    new = TeamMember(place.id, place.team_id, place.user_id, acting.now)
    joined = join_team(connection, new, acting.options)
    if joined is new:
        record(connection, event)
    return joined


def remove_team_member(connection: Connection, acting: Acting, place: TeamPlace, event: Event) -> TeamMember:
    _check_place(connection, acting, place, "delete", "YOU_ARE_NOT_ALLOWED_TO_REMOVE_A_TEAM_MEMBER")
    found = team_member(connection, place.team_id, place.user_id)
    if found is None:
        raise refusal(400, "USER_IS_NOT_A_MEMBER_OF_THE_TEAM")
    connection.execute(delete(TeamMemberRow.__table__).where(m.id == found.id))
    _put_out(connection, place.team_id, place.user_id, acting.now)
    record(connection, event)
    return found


def list_team_members(connection: Connection, acting: Acting, team_id: str) -> list[TeamMember]:
    """For who is in it: also owners and admins see only what they are part of."""
    team = team_of(connection, team_id)
    if team is None or member_of(connection, team.organization_id, acting.user_id) is None:
        raise refusal(400, "TEAM_NOT_FOUND")
    check_standing(connection, acting, team.organization_id)
    if team_member(connection, team_id, acting.user_id) is None:
        raise refusal(400, "USER_IS_NOT_A_MEMBER_OF_THE_TEAM")
    return [TeamMember(*row) for row in _OF_TEAM.rows(connection, {"team": team_id})]


def list_user_teams(
    connection: Connection, acting: Acting, user_id: str, organization_id: str | None
) -> list[Team]:
    """One's own without an organization are those of all in which one may act."""
    if organization_id is not None:
        _check_may_look(connection, acting, user_id, organization_id)
    found = [Team(*row) for row in connection.execute(_OF_USER, {"user": user_id})]
    if organization_id is not None:
        return [team for team in found if team.organization_id == organization_id]
    closed = closed_to(connection, acting.log_in, acting.user_id, acting.now)
    return [team for team in found if team.organization_id not in closed]


def enter_team(
    connection: Connection, acting: Acting, session_id: str, organization_id: str, team_id: str
) -> Team:
    """The session is in the middle of it from now on."""
    is_member = member_of(connection, organization_id, acting.user_id) is not None
    if is_member:
        check_standing(connection, acting, organization_id)
    team = team_in(connection, organization_id, team_id)
    if not is_member or team_member(connection, team_id, acting.user_id) is None:
        raise refusal(403, "USER_IS_NOT_A_MEMBER_OF_THE_TEAM")
    set_active(connection, session_id, organization_id, team_id, acting.now)
    return team


def _put_out(connection: Connection, team_id: str, user_id: str, now: int) -> None:
    """No session of theirs is in the middle of that team."""
    theirs = select(_session.id).where(_session.user_id == user_id)
    connection.execute(
        update(SessionContext.__table__)
        .where(_c.active_team_id == team_id, _c.session_id.in_(theirs))
        .values(active_team_id=None, updated_at=now)
    )


def _check_may_look(connection: Connection, acting: Acting, user_id: str, organization_id: str) -> None:
    stranger = refusal(403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
    if user_id == acting.user_id:
        if member_of(connection, organization_id, user_id) is None:
            raise stranger
        check_standing(connection, acting, organization_id)
        return
    acting_member(
        connection,
        acting,
        organization_id,
        {"member": ["update"]},
        stranger=stranger,
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER"),
    )
    if member_of(connection, organization_id, user_id) is None:
        raise refusal(400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")


def _check_place(
    connection: Connection,
    acting: Acting,
    place: TeamPlace,
    action: str,
    code: str,
    message: str | None = None,
) -> Team:
    """Who asks may change members here, and both the user and the team are of this organization."""
    stranger = refusal(400, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")
    otherwise = refusal(403, code, message)
    acting_member(
        connection,
        acting,
        place.organization_id,
        {"member": [action]},
        stranger=stranger,
        otherwise=otherwise,
    )
    if member_of(connection, place.organization_id, place.user_id) is None:
        raise stranger
    return team_in(connection, place.organization_id, place.team_id)
