"""Somebody is made a member without being asked: by code of the installation only, never over HTTP."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, select

from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Organization, User
from tenant_runtime.organizations.access import built_in_names
from tenant_runtime.organizations.acting import suspended
from tenant_runtime.organizations.admission import NewMember, admit
from tenant_runtime.organizations.fields import given_fields, keep_fields
from tenant_runtime.organizations.members import defined_roles, in_wire_order, member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people.shapes import shown_with_fields
from tenant_runtime.organizations.teams.people import join_team
from tenant_runtime.organizations.teams.rows import TeamMember, team_in
from tenant_runtime.organizations.wire import ApiCall, refusal

Id = Annotated[str, Meta(max_length=255)]
_o, _u = Organization.__table__.c, User.__table__.c


class AddBody(msgspec.Struct, rename="camel"):
    user_id: Id
    role: str | list[str]
    organization_id: Id
    team_id: Id | None = None


async def add_member(call: ApiCall) -> dict[str, Any]:
    body, options = await call.body(AddBody), await call.options()
    fields = await given_fields(call, options.fields("member"))
    roles = [body.role] if isinstance(body.role, str) else body.role
    new = NewMember(
        id=new_id("mem"),
        organization_id=body.organization_id,
        user_id=body.user_id,
        roles=in_wire_order(roles),
        now=call.now,
    )
    unit = partial(
        _add,
        team_id=body.team_id,
        options=options,
        event=call.event(
            "organization_member_added", "A member was added", organization_id=new.organization_id
        ),
    )
    values = await call.before(
        "add_member",
        {"user_id": new.user_id, "role": list(new.roles), "fields": fields},
        rehearsal=partial(unit, new=new, fields=fields),
        organization_id=new.organization_id,
    )
    new = replace(new, user_id=values["user_id"], roles=in_wire_order(values["role"]))
    shown = await call.write(partial(unit, new=new, fields=values["fields"]))
    await call.after("add_member", organization_id=new.organization_id, member=shown)
    return shown


def _add(
    connection: Connection,
    *,
    new: NewMember,
    team_id: str | None,
    fields: dict[str, Any],
    options: OrganizationOptions,
    event: Event,
) -> dict[str, Any]:
    _check(connection, new, options)
    if team_id is not None:
        team_in(connection, new.organization_id, team_id)
    member = admit(connection, new, options)
    if team_id is not None:
        join_team(connection, TeamMember(new_id("tmm"), team_id, new.user_id, new.now), options)
    keep_fields(connection, "member", new.organization_id, new.user_id, fields)
    record(connection, replace(event, details={"user_id": new.user_id, "role": member.role}))
    return shown_with_fields(connection, member, options.fields("member"))


def _check(connection: Connection, new: NewMember, options: OrganizationOptions) -> None:
    organization = connection.execute(
        select(_o.suspended_at).where(_o.id == new.organization_id)
    ).one_or_none()
    if organization is None:
        raise refusal(400, "ORGANIZATION_NOT_FOUND")
    if organization.suspended_at is not None:
        raise suspended()
    if connection.execute(select(_u.user_id).where(_u.user_id == new.user_id)).one_or_none() is None:
        raise refusal(400, "USER_NOT_FOUND")
    if member_of(connection, new.organization_id, new.user_id) is not None:
        raise refusal(400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
    known = built_in_names(options) | defined_roles(connection, new.organization_id).keys()
    unknown = [role for role in new.roles if role not in known]
    if unknown or not new.roles:
        raise refusal(400, "ROLE_NOT_FOUND", f"ROLE_NOT_FOUND: {', '.join(unknown)}")
