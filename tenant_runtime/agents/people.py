"""Tools for the people of an organization."""

from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from core.ids import new_invitation_id
from tenant_runtime.agents.tool_calls import ToolCall
from tenant_runtime.organizations.invitations import shapes as invitation_shapes
from tenant_runtime.organizations.invitations.inviting import Asked, as_a_hook_wants_it, invite
from tenant_runtime.organizations.invitations.letters import PER_INVITER, Post
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.people.asking import stranger
from tenant_runtime.organizations.people.listing import DEFAULT_PAGE, LARGEST_PAGE, Wanted, page_of
from tenant_runtime.organizations.people.removing import remove_member as take_out
from tenant_runtime.organizations.people.roles import update_member_role as give_roles
from tenant_runtime.organizations.people.shapes import member_shown, with_user

OrganizationId = Annotated[
    str | None,
    Meta(description="Id of the organization; without it, the one that the access token is for"),
]
Roles = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]],
    Meta(description="owner, admin, member, guest, or roles that the organization defined", max_length=20),
]


class MembersOf(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    organization_id: OrganizationId = None
    limit: Annotated[int, Meta(ge=1, le=LARGEST_PAGE, description="At most so many")] = DEFAULT_PAGE
    offset: Annotated[int, Meta(ge=0, le=2**53, description="After so many")] = 0


class NewInvitation(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    email: Annotated[str, Meta(min_length=3, max_length=320, description="Who is invited")]
    roles: Roles = msgspec.field(default_factory=lambda: ["member"])
    organization_id: OrganizationId = None
    resend: Annotated[bool, Meta(description="Send an invitation again that waits for an answer")] = False


class NewRole(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    member_id: Annotated[
        str, Meta(max_length=255, description="Id of the membership, as list-members has it")
    ]
    roles: Roles
    organization_id: OrganizationId = None


class LeavingMember(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    member_id_or_email: Annotated[
        str, Meta(min_length=1, max_length=320, description="Id of the membership, or the person's address")
    ]
    organization_id: OrganizationId = None


async def list_members(call: ToolCall, asked: MembersOf) -> dict[str, Any]:
    organization_id = await call.organization(asked.organization_id)
    wanted = Wanted(limit=asked.limit, offset=asked.offset)
    return await call.read(_page, organization_id, call.agent.user_id, wanted)


async def invite_member(call: ToolCall, asked: NewInvitation) -> dict[str, Any]:
    organization_id = await call.organization(asked.organization_id)
    wanted = Asked(
        id=new_invitation_id(),
        organization_id=organization_id,
        email=asked.email,
        roles=tuple(asked.roles),
        resend=asked.resend,
        fields=call.no_fields("invitation"),
    )
    unit = partial(
        invite,
        acting=call.acting,
        post=Post.of(call.tenant, call.services, call.configuration),
        event=call.event("organization_invitation_created", "Somebody was invited"),
    )
    values = await call.before(
        "invite_member",
        {"email": wanted.email, "role": list(wanted.roles), "team_id": [], "fields": wanted.fields},
        rehearsal=partial(unit, asked=wanted),
        organization_id=organization_id,
    )
    wanted = as_a_hook_wants_it(wanted, values)
    call.services.rates.count(PER_INVITER, ("invitations", call.tenant.id, call.agent.user_id), call.now)
    row = await call.write(partial(unit, asked=wanted))
    call.services.deliveries.soon(call.tenant)
    shown = invitation_shapes.invitation(row, call.options)
    await call.after("invite_member", organization_id=organization_id, invitation=shown)
    return {"invitation": shown}


async def update_member_role(call: ToolCall, asked: NewRole) -> dict[str, Any]:
    organization_id = await call.organization(asked.organization_id)
    about = {"organization_id": organization_id, "member_id": asked.member_id}
    unit = partial(
        give_roles,
        acting=call.acting,
        organization_id=organization_id,
        member_id=asked.member_id,
        event=call.event(
            "organization_member_role_changed",
            "A member's roles were changed",
            organization_id=organization_id,
        ),
        left=call.services.settings.default_member_roles,
    )
    values = await call.before(
        "update_member_role",
        {"role": asked.roles},
        rehearsal=partial(unit, role=asked.roles),
        **about,
    )
    shown = member_shown(await call.write(partial(unit, role=values["role"])), {}, {})
    await call.after("update_member_role", **about, member=shown)
    return {"member": shown}


async def remove_member(call: ToolCall, asked: LeavingMember) -> dict[str, Any]:
    organization_id, named = await call.organization(asked.organization_id), asked.member_id_or_email
    unit = partial(
        take_out,
        acting=call.acting,
        data_key=call.tenant.data_key,
        organization_id=organization_id,
        named=named,
        event=call.event(
            "organization_member_removed", "A member was put out", organization_id=organization_id
        ),
    )
    about = {"organization_id": organization_id, "member_id_or_email": named}
    await call.before("remove_member", {}, rehearsal=unit, **about)
    gone = await call.write(unit)
    shown = with_user(member_shown(gone.member, {}, {}), gone.person)
    await call.after("remove_member", **about, member=shown)
    return {"member": shown}


def _page(connection: Connection, organization_id: str, user_id: str, wanted: Wanted) -> dict[str, Any]:
    if member_of(connection, organization_id, user_id) is None:
        raise stranger()
    page = page_of(connection, organization_id, wanted)
    members = [with_user(member_shown(member, {}, {}), person) for member, person in page.members]
    return {"members": members, "total": page.total}
