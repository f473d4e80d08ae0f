"""`/api/v2/organizations/{id}/invitations`: inviting in the name of whoever the tenant's own software says.

What is answered (`id`, `ticket_id`, `invitation_url`) proves no address: the letter's own link alone does
(`organizations.invitations`). An answered invitation is one no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, select

from core.clock import to_iso
from core.errors import Conflict, InvalidInput, NotFound
from core.http.paging import parse_fields
from core.ids import new_invitation_id
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.mail.queue import require_mail
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.apis import roles
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import Body, Id, Maybe, Name, Object, named
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import creating, reading, removing
from tenant_runtime.models import Invitation, Organization, User
from tenant_runtime.organizations.access import MEMBER
from tenant_runtime.organizations.invitations.answering import settle
from tenant_runtime.organizations.invitations.inviting import (
    check_not_member,
    check_number,
    keep,
    pending_of,
    take_back,
)
from tenant_runtime.organizations.invitations.letters import Post, link_to, put_on_its_way
from tenant_runtime.organizations.invitations.tickets import CANCELED, PENDING
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.wire.errors import ApiError
from tenant_runtime.schema import require_organization_api

PATH = "/organizations/{id:str}/invitations"
WEEK_SECONDS = 604_800

_i, _o, _u = Invitation.__table__.c, Organization.__table__.c, User.__table__.c
_WAITING: Select[Any] = (
    select(
        *_i,
        _o.name.label("organization_name"),
        _u.name.label("user_name"),
        _u.email.label("user_email"),
    )
    .select_from(
        Invitation.__table__.join(Organization.__table__, _o.id == _i.organization_id).outerjoin(
            User.__table__, _u.user_id == _i.inviter_id
        )
    )
    .where(_i.organization_id == bindparam("organization"), _i.status == PENDING)
)
_ONE = _WAITING.where(_i.id == bindparam("invitation"))
_WHO = select(_u.user_id).where(_u.email == bindparam("of"))


class Inviter(Body, kw_only=True):
    name: Name


class Invitee(Body, kw_only=True):
    email: Annotated[str, Meta(min_length=3, max_length=254)]


class InvitationIn(Body, kw_only=True):
    inviter: Inviter
    invitee: Invitee
    client_id: Id
    connection_id: Maybe[Id] = UNSET
    app_metadata: Maybe[Object] = UNSET
    user_metadata: Maybe[Object] = UNSET
    ttl_sec: Annotated[int, Meta(ge=0, le=2_592_000)] = 0
    roles: Maybe[Annotated[list[Id], Meta(max_length=50)]] = UNSET
    send_invitation_email: bool = True


@dataclass(frozen=True, slots=True)
class _Writing:
    """What is fixed before the unit."""

    id: str
    tenant: Tenant
    current: Configuration
    post: Post | None
    actor: Actor
    now: int

    @property
    def options(self) -> OrganizationOptions:
        return self.current.documents.value(OPTIONS)


def shape(tenant: Tenant, current: Configuration, row: Row[Any]) -> dict[str, Any]:
    shown = {
        "id": row.id,
        "organization_id": row.organization_id,
        "inviter": {"name": row.inviter_name or row.user_name or row.user_email},
        "invitee": {"email": row.email},
        "invitation_url": link_to(tenant, current, row, row.id),
        "ticket_id": row.id,
        "created_at": to_iso(row.created_at),
        "expires_at": to_iso(row.expires_at),
    }
    names = ("client_id", "connection_id", "app_metadata", "user_metadata")
    kept = {name: getattr(row, name) for name in names} | {"roles": row.tenant_roles}
    return {**shown, **{name: value for name, value in kept.items() if value}}


def _listing(tenant: Tenant, current: Configuration) -> Listing:
    """Links are the tenant's, so its list is as well."""

    def page(_: Connection, rows: Rows) -> Items:
        return [shape(tenant, current, row) for row in rows]

    sortable: dict[str, ColumnElement[Any]] = {name: _i[name] for name in ("created_at", "expires_at")}
    return Listing("invitations", _WAITING, (_i.created_at, _i.id), page, sortable=sortable)


@reading(PATH, "read:organization_invitations")
async def list_organization_invitations(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(_check_readable, id, call.actor)
    return await answer(call, _listing(call.tenant, await call.configuration()), organization=id)


@reading(f"{PATH}/{{invitation_id:str}}", "read:organization_invitations")
async def get_organization_invitation(
    call: CallOf, id: FromPath[str], invitation_id: FromPath[str]
) -> dict[str, Any]:
    row = await call.read(_readable, id, invitation_id, call.actor)
    shown = shape(call.tenant, await call.configuration(), row)
    return parse_fields(call.request.query_params).apply(shown)


@creating(PATH, "create:organization_invitations")
async def create_organization_invitation(
    call: CallOf, id: FromPath[str], data: JSONBody[InvitationIn]
) -> dict[str, Any]:
    current = await _checked(call, data)
    if data.send_invitation_email and not call.services.organization_hooks.sends_invitations:
        await require_mail(call.services, call.tenant)
    post = Post.of(call.tenant, call.services, current) if data.send_invitation_email else None
    writing = _Writing(new_invitation_id(), call.tenant, current, post, call.actor, call.now)
    made = await call.write(_create, id, data, writing)
    call.services.deliveries.soon(call.tenant)
    return made


@removing(f"{PATH}/{{invitation_id:str}}", "delete:organization_invitations")
async def delete_organization_invitation(
    call: CallOf, id: FromPath[str], invitation_id: FromPath[str]
) -> None:
    await call.write(_delete, id, invitation_id, call.actor, call.now)


handlers = [
    list_organization_invitations,
    get_organization_invitation,
    create_organization_invitation,
    delete_organization_invitation,
]


async def _checked(call: Call, data: InvitationIn) -> Configuration:
    current = await call.configuration()
    if data.client_id not in current.clients:
        raise InvalidInput("`client_id` names no client of this tenant.")
    if data.connection_id is not UNSET and data.connection_id not in current.connections:
        raise InvalidInput("`connection_id` names no connection of this tenant.")
    if not is_email(normal_email(data.invitee.email)):
        raise InvalidInput("`invitee.email` is not an address.")
    return current


def _check_readable(connection: Connection, id: str, actor: Actor) -> None:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor, is_reading=True)


def _readable(connection: Connection, id: str, invitation_id: str, actor: Actor) -> Row[Any]:
    _check_readable(connection, id, actor)
    return _load(connection, id, invitation_id)


def _load(connection: Connection, id: str, invitation_id: str) -> Row[Any]:
    values = {"organization": id, "invitation": invitation_id}
    row = connection.execute(_ONE, values).one_or_none()
    if row is None:
        raise NotFound("invitation")
    return row


def _create(connection: Connection, id: str, data: InvitationIn, writing: _Writing) -> Written:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, writing.actor)
    email = normal_email(data.invitee.email)
    role_ids = _roles_of(data)
    roles.check_all_exist(connection, role_ids)
    escalation.check_roles(connection, writing.actor, role_ids)
    escalation.check_not_self(writing.actor, *connection.execute(_WHO, {"of": email}).scalars())
    _check_room(connection, id, email, writing)
    row = keep(connection, _values(id, email, data, writing), writing.now)
    if row is None:
        raise Conflict("This address is invited to the organization already.")
    if writing.post is not None:
        put_on_its_way(connection, writing.post, row, writing.now)
    told = _told(id, email, role_ids)
    return Written(
        answer=shape(writing.tenant, writing.current, _load(connection, id, row.id)),
        after=told,
        told=[("organization_invitation_created", {"organization_id": id, "details": told})],
    )


def _check_room(connection: Connection, id: str, email: str, writing: _Writing) -> None:
    """What the organization API refuses in its own words."""
    if pending_of(connection, id, email, writing.now) is not None:
        raise Conflict("This address is invited to the organization already.")
    try:
        check_not_member(connection, id, email)
        take_back(connection, id, email, writing.now)
        check_number(connection, id, writing.options, writing.now)
    except ApiError as refused:
        raise Conflict(refused.description) from refused


def _values(id: str, email: str, data: InvitationIn, writing: _Writing) -> dict[str, Any]:
    given = named(data)
    lifetime = (data.ttl_sec or WEEK_SECONDS) * 1000
    return {
        "id": writing.id,
        "organization_id": id,
        "email": email,
        "role": MEMBER,
        "tenant_roles": _roles_of(data),
        "inviter_name": data.inviter.name,
        "expires_at": writing.now + lifetime,
        **{name: given.get(name) or {} for name in ("user_metadata", "app_metadata")},
        **{name: given.get(name) for name in ("client_id", "connection_id")},
    }


def _roles_of(data: InvitationIn) -> list[str]:
    return [] if data.roles is UNSET else list(dict.fromkeys(data.roles))


def _delete(connection: Connection, id: str, invitation_id: str, actor: Actor, now: int) -> Written:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor)
    row = _load(connection, id, invitation_id)
    settle(connection, row.id, CANCELED, now=now)
    told = _told(id, row.email, row.tenant_roles)
    return Written(
        before=told, told=[("organization_invitation_canceled", {"organization_id": id, "details": told})]
    )


def _told(id: str, email: str, role_ids: Sequence[str]) -> dict[str, Any]:
    return {"organization": id, "invitee": email, "roles": list(role_ids)}
