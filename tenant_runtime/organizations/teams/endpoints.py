"""`/api/auth/organization/*-team*` (`specs/organization-api.md` A.5). Where a tenant has no teams there are no such
paths."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Response
from msgspec import UNSET, Meta, UnsetType

from core.ids import new_id
from tenant_runtime.audit import Event
from tenant_runtime.organizations.acting import Acting, chosen_organization
from tenant_runtime.organizations.active import leave_team
from tenant_runtime.organizations.fields import given_fields
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.teams import people, units
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiSession,
    CallOf,
    bare,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.cookies import cookies_again
from tenant_runtime.organizations.wire.names import ONE_LINE
from tenant_runtime.organizations.wire.shapes import answer_null

Name = Annotated[str, Meta(max_length=200, pattern=ONE_LINE)]
NewName = Annotated[Name, Meta(min_length=1)]
Id = Annotated[str, Meta(max_length=255)]


class NewTeamBody(msgspec.Struct, rename="camel"):
    name: Name
    organization_id: Id | None = None


class TeamData(msgspec.Struct, rename="camel"):
    name: NewName | UnsetType = UNSET
    organization_id: Id | None = None


class TeamUpdateBody(msgspec.Struct, rename="camel"):
    """The client names the organization inside of `data`."""

    team_id: Id
    data: TeamData
    organization_id: Id | None = None


class TeamBody(msgspec.Struct, rename="camel"):
    team_id: Id
    organization_id: Id | None = None


class ActiveTeamBody(msgspec.Struct, rename="camel"):
    team_id: Id | UnsetType | None = UNSET


class OrganizationQuery(msgspec.Struct, rename="camel"):
    organization_id: str | None = None


class UserTeamsQuery(msgspec.Struct, rename="camel"):
    user_id: str | None = None
    organization_id: str | None = None


class TeamQuery(msgspec.Struct, rename="camel"):
    team_id: str | None = None


class TeamMemberBody(msgspec.Struct, rename="camel"):
    team_id: Id
    user_id: Id
    organization_id: Id | None = None


@write_endpoint("/organization/create-team")
async def create_team(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(bare(401)), await call.body(NewTeamBody)
    organization_id = chosen_organization(session, body.organization_id)
    fields = await given_fields(call, options.fields("team"))
    new = units.NewTeam(id=new_id("team"), organization_id=organization_id, name=body.name, fields=fields)
    unit = partial(
        units.create_team,
        acting=Acting(session.user_id, options, call.now, session.id),
        event=call.event(
            "organization_team_created",
            "A team of an organization was made",
            organization_id=organization_id,
            team_id=new.id,
        ),
    )
    values = await call.before(
        "create_team",
        {"name": new.name, "fields": fields},
        rehearsal=partial(unit, new=new),
        organization_id=organization_id,
    )
    team = await call.write(partial(unit, new=replace(new, **values)))
    await call.after("create_team", organization_id=organization_id, team=team.shown(options))
    return team.shown(options)


@write_endpoint("/organization/update-team")
async def update_team(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(), await call.body(TeamUpdateBody)
    organization_id = chosen_organization(session, body.data.organization_id or body.organization_id)
    changes: dict[str, Any] = {} if body.data.name is UNSET else {"name": body.data.name}
    if fields := await given_fields(call, options.fields("team"), under="data", is_new=False):
        changes["fields"] = fields
    if not changes:
        raise refusal(400, "VALIDATION_ERROR", "[body.data] Nothing to update")
    unit = partial(
        units.update_team,
        acting=Acting(session.user_id, options, call.now, session.id),
        organization_id=organization_id,
        team_id=body.team_id,
        event=call.event(
            "organization_team_updated",
            "A team of an organization was changed",
            organization_id=organization_id,
            team_id=body.team_id,
        ),
    )
    about = {"organization_id": organization_id, "team_id": body.team_id}
    changes = await call.before("update_team", changes, rehearsal=partial(unit, changes=changes), **about)
    team = await call.write(partial(unit, changes=changes))
    await call.after("update_team", organization_id=organization_id, team=team.shown(options))
    return team.shown(options)


@write_endpoint("/organization/remove-team")
async def remove_team(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session_or_none(), await call.body(TeamBody)
    organization_id = body.organization_id or (session.active_organization_id if session else None)
    if organization_id is None:
        raise refusal(400, "NO_ACTIVE_ORGANIZATION")
    session = await call.session(bare(401))
    unit = partial(
        units.remove_team,
        acting=Acting(session.user_id, options, call.now, session.id),
        organization_id=organization_id,
        team_id=body.team_id,
        active_team_id=session.active_team_id,
        event=call.event(
            "organization_team_removed",
            "A team of an organization was removed",
            organization_id=organization_id,
            team_id=body.team_id,
        ),
    )
    about = {"organization_id": organization_id, "team_id": body.team_id}
    await call.before("remove_team", {}, rehearsal=unit, **about)
    team = await call.write(unit)
    await call.after("remove_team", organization_id=organization_id, team=team.shown(options))
    return {"message": "Team removed successfully."}


@read_endpoint("/organization/list-teams")
async def list_teams(call: CallOf) -> Any:
    options = await _options(call)
    session, query = await call.session(), call.query(OrganizationQuery)
    organization_id = chosen_organization(session, query.organization_id)
    acting = Acting(session.user_id, options, call.now, session.id)
    teams = await call.read(units.list_teams, acting, organization_id)
    return [team.shown(options) for team in teams]


@write_endpoint("/organization/set-active-team")
async def set_active_team(call: CallOf) -> Any:
    """No team named: the one that the session is in, if it still may be."""
    options = await _options(call)
    session, body = await call.session(), await call.body(ActiveTeamBody)
    if body.team_id is None:
        await call.write(leave_team, session.id, call.now)
        return Response(b"null", media_type=MediaType.JSON, cookies=cookies_again(call, session))
    team_id = body.team_id or session.active_team_id
    if not team_id:
        return answer_null()
    organization_id = chosen_organization(session, None)
    acting = Acting(session.user_id, options, call.now, session.id)
    team = await call.write(people.enter_team, acting, session.id, organization_id, team_id)
    return Response(team.shown(options), cookies=cookies_again(call, session))


@read_endpoint("/organization/list-user-teams")
async def list_user_teams(call: CallOf) -> Any:
    options = await _options(call)
    session, query = await call.session(), call.query(UserTeamsQuery)
    user_id, organization_id = query.user_id or session.user_id, query.organization_id or None
    if user_id != session.user_id:
        organization_id = chosen_organization(session, organization_id)
    acting = Acting(session.user_id, options, call.now, session.id)
    teams = await call.read(people.list_user_teams, acting, user_id, organization_id)
    return [team.shown(options) for team in teams]


@read_endpoint("/organization/list-team-members")
async def list_team_members(call: CallOf) -> Any:
    options = await _options(call)
    session, query = await call.session(), call.query(TeamQuery)
    team_id = query.team_id or session.active_team_id
    if not team_id:
        raise refusal(400, "YOU_DO_NOT_HAVE_AN_ACTIVE_TEAM")
    acting = Acting(session.user_id, options, call.now, session.id)
    members = await call.read(people.list_team_members, acting, team_id)
    return [member.shown() for member in members]


@write_endpoint("/organization/add-team-member")
async def add_team_member(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(), await call.body(TeamMemberBody)
    place = _place(session, body)
    unit = partial(
        people.add_team_member,
        acting=Acting(session.user_id, options, call.now, session.id),
        event=_event(call, "organization_team_member_added", "A member came into a team", place),
    )
    about = _about(place)
    values = await call.before(
        "add_team_member", {"user_id": place.user_id}, rehearsal=partial(unit, place=place), **about
    )
    member = await call.write(partial(unit, place=replace(place, **values)))
    await call.after("add_team_member", **about, team_member=member.shown())
    return member.shown()


@write_endpoint("/organization/remove-team-member")
async def remove_team_member(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(), await call.body(TeamMemberBody)
    place = _place(session, body)
    unit = partial(
        people.remove_team_member,
        acting=Acting(session.user_id, options, call.now, session.id),
        place=place,
        event=_event(call, "organization_team_member_removed", "A member was put out of a team", place),
    )
    about = _about(place)
    await call.before("remove_team_member", {}, rehearsal=unit, **about)
    member = await call.write(unit)
    await call.after("remove_team_member", **about, team_member=member.shown())
    return {"message": "Team member removed successfully."}


async def _options(call: ApiCall) -> OrganizationOptions:
    options = await call.options()
    if not options.teams.enabled:
        raise bare(404)
    return options


def _place(session: ApiSession, body: TeamMemberBody) -> people.TeamPlace:
    return people.TeamPlace(
        id=new_id("tmm"),
        organization_id=chosen_organization(session, body.organization_id),
        team_id=body.team_id,
        user_id=body.user_id,
    )


def _event(call: ApiCall, type: str, description: str, place: people.TeamPlace) -> Event:
    return call.event(
        type, description, organization_id=place.organization_id, team_id=place.team_id, member=place.user_id
    )


def _about(place: people.TeamPlace) -> dict[str, Any]:
    return {
        "organization_id": place.organization_id,
        "team_id": place.team_id,
        "member_user_id": place.user_id,
    }


handlers = [
    create_team,
    update_team,
    remove_team,
    list_teams,
    set_active_team,
    list_user_teams,
    list_team_members,
    add_team_member,
    remove_team_member,
]
