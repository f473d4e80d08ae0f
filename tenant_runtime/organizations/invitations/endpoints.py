"""`/api/auth/organization/...`: inviting, and answering invitations."""

from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta
from sqlalchemy import Row

from core.errors import RateLimited
from core.ids import new_id, new_invitation_id
from tenant_runtime.organizations.acting import Acting
from tenant_runtime.organizations.fields import given_fields
from tenant_runtime.organizations.invitations import answering, asking, reading, shapes
from tenant_runtime.organizations.invitations.answering import Acceptance, Person
from tenant_runtime.organizations.invitations.asking import Answering
from tenant_runtime.organizations.invitations.inviting import (
    Asked,
    as_a_hook_wants_it,
    each_once,
    invite,
    several,
)
from tenant_runtime.organizations.invitations.letters import PER_INVITER, Post
from tenant_runtime.organizations.people.shapes import newcomer_shown
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiError,
    ApiSession,
    CallOf,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.cookies import cookies_again

AT_ONCE = 100

Names = str | list[str]
Address = Annotated[str, Meta(max_length=320)]


class _Inviting(msgspec.Struct, rename="camel", kw_only=True):
    role: Names
    organization_id: str | None = None
    resend: bool | None = None
    team_id: str | Annotated[list[str], Meta(max_length=AT_ONCE)] | None = None


class InviteBody(_Inviting, kw_only=True):
    email: str


class InviteManyBody(_Inviting, kw_only=True):
    email: Annotated[list[Address], Meta(min_length=1, max_length=AT_ONCE)]


class AnswerBody(msgspec.Struct, rename="camel"):
    invitation_id: str


class InvitationQuery(msgspec.Struct):
    id: str


class ListQuery(msgspec.Struct, rename="camel"):
    organization_id: str | None = None
    limit: Annotated[int, Meta(ge=1, le=reading.MOST)] = reading.MOST
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class OwnQuery(msgspec.Struct):
    email: str | None = None


# --- Inviting ------------------------------------------------------------------------------------------------------


@write_endpoint("/organization/invite-member")
async def invite_member(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(InviteBody)
    row = await _invite(call, session, body.email, body)
    call.deliver()
    return shapes.invitation(row, await call.options())


@write_endpoint("/organization/invite-members")
async def invite_members(call: CallOf) -> Any:
    """Several addresses: each is answered by itself, and none stands in another's way."""
    session, body, options = await call.session(), await call.body(InviteManyBody), await call.options()
    results = []
    for email in body.email:
        try:
            row = await _invite(call, session, email, body)
        except (ApiError, RateLimited) as error:
            told = {"status": error.status, "code": error.code.upper(), "message": error.description}
            results.append({"email": email, "invitation": None, "error": told})
        else:
            results.append({"email": email, "invitation": shapes.invitation(row, options), "error": None})
    call.deliver()
    return {"results": results}


async def _invite(call: ApiCall, session: ApiSession, email: str, body: _Inviting) -> Row[Any]:
    options, organization_id = await call.options(), body.organization_id or session.active_organization_id
    if organization_id is None:
        raise refusal(400, "ORGANIZATION_NOT_FOUND")
    asked = Asked(
        id=new_invitation_id(),
        organization_id=organization_id,
        email=email,
        roles=several(body.role),
        team_ids=each_once(body.team_id or []) if options.teams.enabled else (),
        resend=body.resend is True,
        fields=await given_fields(call, options.fields("invitation")),
    )
    unit = partial(
        invite,
        acting=Acting(session.user_id, options, call.now, session.id),
        post=await _post(call),
        event=call.event("organization_invitation_created", "Somebody was invited"),
    )
    values = await call.before(
        "invite_member",
        {"email": email, "role": list(asked.roles), "team_id": list(asked.team_ids), "fields": asked.fields},
        rehearsal=partial(unit, asked=asked),
        organization_id=organization_id,
    )
    asked = as_a_hook_wants_it(asked, values)
    call.services.rates.count(PER_INVITER, ("invitations", call.tenant.id, session.user_id), call.now)
    row = await call.write(partial(unit, asked=asked))
    shown = shapes.invitation(row, options)
    await call.after("invite_member", organization_id=organization_id, invitation=shown)
    return row


async def _post(call: ApiCall) -> Post | None:
    return Post.of(call.tenant, call.services, await call.configuration()) if call.sends_letters else None


# --- Answering -----------------------------------------------------------------------------------------------------


@write_endpoint("/organization/accept-invitation")
async def accept_invitation(call: CallOf) -> Any:
    session, body, options = await call.session(), await call.body(AnswerBody), await call.options()
    event = call.event("organization_invitation_accepted", "An invitation was accepted")
    unit = partial(
        answering.accept,
        shown=body.invitation_id,
        user_id=session.user_id,
        how=Acceptance(
            membership_id=new_id("mem"),
            session_id=session.id,
            event=event,
            default_roles=call.services.settings.default_member_roles if call.tenant.is_control_plane else (),
        ),
        options=options,
    )
    about = await _about(call, "accept_invitation", body.invitation_id)
    await call.before("accept_invitation", {}, rehearsal=unit, **about)
    accepted = await call.write(unit)
    shown = shapes.invitation(accepted.row, options)
    member = newcomer_shown(accepted.member, options.fields("member"))
    organization_id = accepted.row.organization_id
    await call.after("accept_invitation", organization_id=organization_id, invitation=shown, member=member)
    teams = shown.get("teamId") or ""
    is_in_one_team = teams != "" and "," not in teams
    cookies = cookies_again(call, session) if is_in_one_team else []
    return Response({"invitation": shown, "member": member}, cookies=cookies)


@write_endpoint("/organization/reject-invitation")
async def reject_invitation(call: CallOf) -> Any:
    session, body, options = await call.session(), await call.body(AnswerBody), await call.options()
    unit = partial(
        answering.reject,
        shown=body.invitation_id,
        user_id=session.user_id,
        options=options,
        event=call.event("organization_invitation_rejected", "An invitation was rejected"),
    )
    about = await _about(call, "reject_invitation", body.invitation_id)
    await call.before("reject_invitation", {}, rehearsal=unit, **about)
    row = await call.write(unit)
    shown = shapes.invitation(row, options)
    await call.after("reject_invitation", organization_id=row.organization_id, invitation=shown)
    return {"invitation": shown, "member": None}


@write_endpoint("/organization/cancel-invitation")
async def cancel_invitation(call: CallOf) -> Any:
    session, body, options = await call.session(), await call.body(AnswerBody), await call.options()
    unit = partial(
        answering.cancel,
        invitation_id=body.invitation_id,
        acting=Acting(session.user_id, options, call.now, session.id),
        event=call.event("organization_invitation_canceled", "An invitation was taken back"),
    )
    about = await _about(call, "cancel_invitation", body.invitation_id)
    await call.before("cancel_invitation", {}, rehearsal=unit, **about)
    row = await call.write(unit)
    shown = shapes.invitation(row, options)
    await call.after("cancel_invitation", organization_id=row.organization_id, invitation=shown)
    return shown


# --- Reading -------------------------------------------------------------------------------------------------------


@read_endpoint("/organization/get-invitation")
async def get_invitation(call: CallOf) -> Any:
    session = await call.session(refusal(401, "UNAUTHORIZED", "Not authenticated", has_code=False))
    query, options = call.query(InvitationQuery), await call.options()
    shown = await call.read(reading.shown_to_recipient, query.id, _person(session), options, call.now)
    row = shown.found.row
    return shapes.invitation(
        row,
        options,
        organizationName=shown.found.organization_label,
        organizationSlug=row.organization_name,
        inviterEmail=shown.inviter_email,
    )


@read_endpoint("/organization/list-invitations")
async def list_invitations(call: CallOf) -> Any:
    session, query, options = await call.session(), call.query(ListQuery), await call.options()
    organization_id = query.organization_id or session.active_organization_id
    if organization_id is None:
        raise refusal(400, "BAD_REQUEST", "Organization ID is required", has_code=False)
    acting = Acting(session.user_id, options, call.now, session.id)
    rows = await call.read(reading.listed, organization_id, acting, query.limit, query.offset)
    return [shapes.invitation(row, options) for row in rows]


@read_endpoint("/organization/list-user-invitations")
async def list_user_invitations(call: CallOf) -> Any:
    query, options = call.query(OwnQuery), await call.options()
    if query.email:
        message = "User email cannot be passed for client side API calls."
        raise refusal(400, "BAD_REQUEST", message, has_code=False)
    nobody = "Missing session headers, or email query parameter."
    session = await call.session(refusal(400, "BAD_REQUEST", nobody, has_code=False))
    rows = await call.read(reading.of_person, _person(session))
    return [
        shapes.invitation(
            row, options, organizationName=row.organization_display_name or row.organization_name
        )
        for row in rows
    ]


handlers: list[ControllerRouterHandler] = [
    invite_member,
    invite_members,
    accept_invitation,
    reject_invitation,
    cancel_invitation,
    get_invitation,
    list_invitations,
    list_user_invitations,
]


async def _about(call: ApiCall, action: Answering, shown: str) -> dict[str, Any]:
    return await asking.about(
        call.services.organization_hooks, call.tenant, action, shown, await call.options()
    )


def _person(session: ApiSession) -> Person:
    return Person(user_id=session.user_id, email=session.email, email_verified=session.email_verified)
