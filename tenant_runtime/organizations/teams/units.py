"""Units of work on teams: each asks itself whether the caller may."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Invitation
from tenant_runtime.models import Team as TeamRow
from tenant_runtime.models import TeamMember as TeamMemberRow
from tenant_runtime.organizations.acting import Acting, acting_member, check_standing
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.teams.rows import Team, number_of_teams, t, team_in, teams_of
from tenant_runtime.organizations.wire.errors import refusal

MOST = 1000
"""Where the tenant says no number: lists of them have no pages."""

TEAM, TEAM_MEMBER = "team", "tmm"
_i = Invitation.__table__.c


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTeam:
    id: str
    organization_id: str
    name: str
    fields: Mapping[str, Any]


def new_team_ids() -> tuple[str, str]:
    """Of a team, and of a member in it."""
    return new_id(TEAM), new_id(TEAM_MEMBER)


def create_default_team(
    connection: Connection, id: str, member_id: str, organization_id: str, name: str, user_id: str, now: int
) -> None:
    """The one that a new organization has, with its creator in it."""
    team = {"id": id, "organization_id": organization_id, "name": name, "fields": {}, "created_at": now}
    connection.execute(insert(TeamRow.__table__), {**team, "updated_at": None})
    member = {"id": member_id, "team_id": id, "user_id": user_id, "created_at": now}
    connection.execute(insert(TeamMemberRow.__table__), member)


def create_team(connection: Connection, acting: Acting, new: NewTeam, event: Event) -> Team:
    acting_member(
        connection,
        acting,
        new.organization_id,
        {"team": ["create"]},
        stranger=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"),
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_TEAMS_IN_THIS_ORGANIZATION"),
    )
    maximum = acting.options.teams.maximum_teams
    if number_of_teams(connection, new.organization_id) >= (MOST if maximum is None else maximum):
        raise refusal(400, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_TEAMS")
    team = Team(new.id, new.organization_id, new.name, new.fields, acting.now, acting.now)
    connection.execute(
        insert(TeamRow.__table__),
        {
            "id": team.id,
            "organization_id": team.organization_id,
            "name": team.name,
            "fields": dict(team.fields),
            "created_at": acting.now,
            "updated_at": acting.now,
        },
    )
    record(connection, event)
    return team


def update_team(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    team_id: str,
    changes: Mapping[str, Any],
    event: Event,
) -> Team:
    """`changes`: `name`, `fields`. The organization is where the team is looked for; no team moves."""
    refused = refusal(403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_TEAM")
    acting_member(
        connection, acting, organization_id, {"team": ["update"]}, stranger=refused, otherwise=refused
    )
    team = team_in(connection, organization_id, team_id)
    changed = replace(
        team,
        name=changes.get("name", team.name),
        fields={**team.fields, **changes.get("fields", {})},
        updated_at=acting.now,
    )
    values = {"name": changed.name, "fields": dict(changed.fields), "updated_at": acting.now}
    connection.execute(update(TeamRow.__table__).where(t.id == team_id).values(values))
    record(connection, event)
    return changed


def remove_team(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    team_id: str,
    active_team_id: str | None,
    event: Event,
) -> Team:
    """Its members stay members of the organization; no session is in it any more, and nobody is invited into it.
    `active_team_id` is that of the caller's own session: what one is in the middle of is not removed."""
    refused = refusal(403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_TEAM")
    if active_team_id == team_id:
        raise refused
    acting_member(
        connection,
        acting,
        organization_id,
        {"team": ["delete"]},
        stranger=refused,
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_TEAMS_IN_THIS_ORGANIZATION"),
    )
    team = team_in(connection, organization_id, team_id)
    may_be_none = acting.options.teams.allow_removing_all_teams
    if not may_be_none and number_of_teams(connection, organization_id) <= 1:
        raise refusal(400, "UNABLE_TO_REMOVE_LAST_TEAM")
    _strip_from_invitations(connection, organization_id, team_id, acting.now)
    connection.execute(delete(TeamRow.__table__).where(t.id == team_id))
    record(connection, event)
    return team


def list_teams(connection: Connection, acting: Acting, organization_id: str) -> list[Team]:
    if member_of(connection, organization_id, acting.user_id) is None:
        raise refusal(
            403,
            "YOU_ARE_NOT_ALLOWED_TO_ACCESS_THIS_ORGANIZATION",
            "You are not allowed to access this organization as an owner",
        )
    check_standing(connection, acting, organization_id)
    return teams_of(connection, organization_id)


def _strip_from_invitations(connection: Connection, organization_id: str, team_id: str, now: int) -> None:
    """One that was for this team alone is one to the organization."""
    pending = select(_i.id, _i.team_ids).where(
        _i.organization_id == organization_id, _i.status == "pending", _i.team_ids.contains(team_id)
    )
    for row in connection.execute(pending).all():
        left = [id for id in row.team_ids.split(",") if id != team_id]
        values = {"team_ids": ",".join(left) or None, "updated_at": now}
        connection.execute(update(Invitation.__table__).where(_i.id == row.id).values(values))
