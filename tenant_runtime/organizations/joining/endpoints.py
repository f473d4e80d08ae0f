"""`/api/auth/organization/*join*`: asking to join, deciding about it, and joining at once."""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, Row

from core.crypto.sealing import DataKey
from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CODES
from tenant_runtime.organizations.acting import Acting, chosen_organization
from tenant_runtime.organizations.active import enter
from tenant_runtime.organizations.admission import NewMember, admit
from tenant_runtime.organizations.joining import requests
from tenant_runtime.organizations.joining.letters import Post
from tenant_runtime.organizations.joining.requests import Asking, Joinable, require_joinable
from tenant_runtime.organizations.members import Member
from tenant_runtime.organizations.people.shapes import newcomer_shown
from tenant_runtime.organizations.policies import settings_of
from tenant_runtime.organizations.wire import ApiCall, CallOf, date, read_endpoint, write_endpoint
from tenant_runtime.organizations.wire.shapes import date_or_none

ADDED = "organization_member_added"
Id = Annotated[str, Meta(min_length=1, max_length=255)]


class JoinBody(msgspec.Struct, rename="camel"):
    organization_id: Id


class AskBody(msgspec.Struct, rename="camel"):
    organization_id: Id
    message: Annotated[str, Meta(max_length=500)] | None = None


class RequestBody(msgspec.Struct, rename="camel"):
    request_id: Id


class OrganizationQuery(msgspec.Struct, rename="camel"):
    organization_id: Id | None = None


@read_endpoint("/organization/list-joinable-organizations")
async def list_joinable_organizations(call: CallOf) -> Any:
    session, key = await call.session(), call.tenant.data_key
    found = await call.read(requests.joinable_by, key, session.user_id, call.now)
    return [_joinable_shown(each) for each in found]


@write_endpoint("/organization/request-to-join")
async def request_to_join(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(AskBody)
    asking = Asking(
        id=new_id("jrq"),
        organization_id=body.organization_id,
        user_id=session.user_id,
        message=body.message,
        event=_event(call, "organization_join_requested", body.organization_id),
    )
    row = await call.write(requests.ask, asking, await _post(call))
    call.deliver()
    return request_shown(row)


@write_endpoint("/organization/cancel-join-request")
async def cancel_join_request(call: CallOf) -> Any:
    session, body = await call.session(), await call.body(RequestBody)
    event = _event(call, "organization_join_canceled", None)
    return request_shown(await call.write(requests.cancel, body.request_id, session.user_id, event))


@read_endpoint("/organization/list-join-requests")
async def list_join_requests(call: CallOf) -> Any:
    session = await call.session()
    organization_id = chosen_organization(session, call.query(OrganizationQuery).organization_id)
    rows = await call.read(requests.waiting, await _acting(call), organization_id)
    return [
        {
            **request_shown(row),
            "user": {
                "id": row.user_id,
                "name": row.name or "",
                "email": row.email or "",
                "image": row.picture,
            },
        }
        for row in rows
    ]


@write_endpoint("/organization/approve-join-request")
async def approve_join_request(call: CallOf) -> Any:
    await call.session()
    body, event = await call.body(RequestBody), _event(call, ADDED, None)
    row, member = await call.write(
        requests.approve, await _acting(call), body.request_id, new_id("mem"), event, await _post(call)
    )
    call.deliver()
    return {"request": request_shown(row), "member": await _member_shown(call, member)}


@write_endpoint("/organization/reject-join-request")
async def reject_join_request(call: CallOf) -> Any:
    await call.session()
    body, event = await call.body(RequestBody), _event(call, "organization_join_rejected", None)
    row = await call.write(requests.reject, await _acting(call), body.request_id, event, await _post(call))
    call.deliver()
    return request_shown(row)


@write_endpoint("/organization/join")
async def join(call: CallOf) -> Any:
    """Where the organization takes everybody with an address in its domains."""
    session, body = await call.session(), await call.body(JoinBody)
    event = _event(call, ADDED, body.organization_id)
    acting, key = await _acting(call), call.tenant.data_key
    member = await call.write(_join, acting, key, session.id, body.organization_id, new_id("mem"), event)
    return await _member_shown(call, member)


handlers = [
    list_joinable_organizations,
    request_to_join,
    cancel_join_request,
    list_join_requests,
    approve_join_request,
    reject_join_request,
    join,
]


def _join(
    connection: Connection,
    acting: Acting,
    data_key: DataKey,
    session_id: str,
    organization_id: str,
    member_id: str,
    event: Event,
) -> Member:
    require_joinable(connection, data_key, organization_id, acting.user_id, acting.now, "automatic")
    role = settings_of(connection, organization_id).domain_joining_role
    new = NewMember(
        id=member_id,
        organization_id=organization_id,
        user_id=acting.user_id,
        roles=(role,),
        now=acting.now,
    )
    member = admit(connection, new, acting.options)
    enter(connection, session_id, organization_id, acting.now)
    record(connection, event)
    return member


def request_shown(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "organizationId": row.organization_id,
        "userId": row.user_id,
        "message": row.message,
        "status": row.status,
        "createdAt": date(row.created_at),
        "decidedAt": date_or_none(row.decided_at),
    }


def _joinable_shown(joinable: Joinable) -> dict[str, Any]:
    row, request = joinable.organization, joinable.request
    return {
        "id": row.id,
        "name": row.display_name or row.name,
        "slug": row.name,
        "logo": row.branding.get("logo_url"),
        "joining": joinable.joining,
        "request": request_shown(request) if request is not None else None,
    }


async def _member_shown(call: ApiCall, member: Member) -> dict[str, Any]:
    return newcomer_shown(member, (await call.options()).fields("member"))


def _event(call: ApiCall, type: str, organization_id: str | None) -> Event:
    return replace(call.event(type, CODES[type].description), organization_id=organization_id)


async def _acting(call: ApiCall) -> Acting:
    session = await call.session()
    return Acting(session.user_id, await call.options(), call.now, session.id)


async def _post(call: ApiCall) -> Post:
    return Post.of(call.tenant, call.services, await call.configuration())
