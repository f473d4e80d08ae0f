"""The members' half of `/api/auth/organization/*` (`specs/organization-api.md` A.2 and A.4)."""

from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from tenant_runtime.audit import Event
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import Acting, check_standing
from tenant_runtime.organizations.lifecycle.rows import id_of_named
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people import asking, removing, roles
from tenant_runtime.organizations.people.listing import (
    DEFAULT_PAGE,
    LARGEST_PAGE,
    Direction,
    Operator,
    Wanted,
    page_of,
)
from tenant_runtime.organizations.people.shapes import member_shown, page_shown, shown_with_fields, with_user
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiSession,
    CallOf,
    bare,
    read_endpoint,
    refusal,
    write_endpoint,
)

Id = Annotated[str, Meta(max_length=255)]
Email = Annotated[str, Meta(min_length=1, max_length=320)]
Role = Annotated[str, Meta(max_length=255)]
Permissions = dict[str, list[str]]


class ListQuery(msgspec.Struct, rename="camel"):
    organization_id: Id | None = None
    organization_slug: Id | None = None
    limit: Annotated[int, Meta(ge=0, le=LARGEST_PAGE)] | None = None
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
    sort_by: str | None = None
    sort_direction: Direction = "asc"
    filter_field: str | None = None
    filter_operator: Operator = "eq"


class RoleQuery(msgspec.Struct, rename="camel"):
    user_id: Id | None = None
    organization_id: Id | None = None
    organization_slug: Id | None = None


class RoleBody(msgspec.Struct, rename="camel"):
    member_id: Id
    role: Role | list[Role]
    organization_id: Id | None = None


class RemoveBody(msgspec.Struct, rename="camel"):
    member_id_or_email: Email
    organization_id: Id | None = None


class LeaveBody(msgspec.Struct, rename="camel"):
    organization_id: Id


class TransferBody(msgspec.Struct, rename="camel"):
    member_id: Id
    organization_id: Id | None = None


class PermissionBody(msgspec.Struct, rename="camel"):
    permissions: Permissions | UnsetType = UNSET
    permission: Permissions | UnsetType = UNSET
    organization_id: Id | None = None


@read_endpoint("/organization/list-members")
async def list_members(call: CallOf) -> Any:
    session, query, options = await call.session(), call.query(ListQuery), await call.options()
    wanted = Wanted(
        limit=query.limit if query.limit is not None else page_size(options),
        offset=query.offset,
        sort_by=query.sort_by,
        direction=query.sort_direction,
        filter_field=query.filter_field,
        filter_values=call.repeated("filterValue"),
        operator=query.filter_operator,
    )
    named = (query.organization_id or session.active_organization_id, query.organization_slug)
    acting = Acting(session.user_id, options, call.now, session.id)
    return await call.read(_list, acting, *named, wanted)


@write_endpoint("/organization/update-member-role")
async def update_member_role(call: CallOf) -> Any:
    session, body, options = await call.session(), await call.body(RoleBody), await call.options()
    asked = [body.role] if isinstance(body.role, str) else body.role
    if not any(role.strip(", ") for role in asked):
        raise bare(400)
    organization_id = await _organization(call, body.organization_id)
    about = {"organization_id": organization_id, "member_id": body.member_id}
    event = _event(
        call, "organization_member_role_changed", "The roles of a member", organization_id, session
    )
    acting = Acting(session.user_id, options, call.now, session.id)
    unit = partial(
        _change_role,
        acting=acting,
        organization_id=organization_id,
        member_id=body.member_id,
        event=event,
        left=call.services.settings.default_member_roles,
    )
    values = await call.before(
        "update_member_role", {"role": asked}, rehearsal=partial(unit, role=asked), **about
    )
    shown = await call.write(partial(unit, role=values["role"]))
    await call.after("update_member_role", **about, member=shown)
    return shown


@write_endpoint("/organization/transfer-ownership")
async def transfer_ownership(call: CallOf) -> Any:
    """To a hook it is another role of a member's."""
    session, body, options = await call.session(), await call.body(TransferBody), await call.options()
    organization_id = await _organization(call, body.organization_id)
    about = {"organization_id": organization_id, "member_id": body.member_id}
    event = _event(
        call, "organization_ownership_transferred", "It has another owner", organization_id, session
    )
    acting = Acting(session.user_id, options, call.now, session.id)
    unit = partial(
        _transfer,
        acting=acting,
        organization_id=organization_id,
        member_id=body.member_id,
        event=event,
        left=call.services.settings.default_member_roles,
    )
    await call.before("update_member_role", {"role": [OWNER]}, rehearsal=unit, **about)
    shown = await call.write(unit)
    await call.after("update_member_role", **about, member=shown["member"])
    return shown


@write_endpoint("/organization/remove-member")
async def remove_member(call: CallOf) -> Any:
    session, body, options = await call.session(), await call.body(RemoveBody), await call.options()
    organization_id, named = await _organization(call, body.organization_id), body.member_id_or_email
    event = _event(call, "organization_member_removed", "A member was put out", organization_id, session)
    acting = Acting(session.user_id, options, call.now, session.id)
    unit = partial(
        _remove,
        acting=acting,
        data_key=call.tenant.data_key,
        organization_id=organization_id,
        named=named,
        event=event,
    )
    about = {"organization_id": organization_id, "member_id_or_email": named}
    await call.before("remove_member", {}, rehearsal=unit, **about)
    shown = await call.write(unit)
    await call.after("remove_member", **about, member=shown)
    return {"member": shown}


@write_endpoint("/organization/leave")
async def leave_organization(call: CallOf) -> Any:
    """Asks no hook: nobody is kept."""
    session, body, options = await call.session(), await call.body(LeaveBody), await call.options()
    event = _event(call, "organization_member_removed", "A member left", body.organization_id, session)
    acting = Acting(session.user_id, options, call.now, session.id)
    return await call.write(_leave, acting, call.tenant.data_key, body.organization_id, event)


@read_endpoint("/organization/get-active-member")
async def get_active_member(call: CallOf) -> Any:
    session, options = await call.session(), await call.options()
    organization_id = await _organization(call, None)
    acting = Acting(session.user_id, options, call.now, session.id)
    return await call.read(_active, acting, organization_id)


@read_endpoint("/organization/get-active-member-role")
async def get_active_member_role(call: CallOf) -> Any:
    session, query, options = await call.session(), call.query(RoleQuery), await call.options()
    role = await call.read(
        asking.role_of,
        Acting(session.user_id, options, call.now, session.id),
        query.organization_id or session.active_organization_id,
        query.organization_slug,
        query.user_id or session.user_id,
    )
    return {"role": role}


@write_endpoint("/organization/has-permission")
async def has_permission(call: CallOf) -> Any:
    """The old spelling, `permission`, is never granted."""
    session, body, options = await call.session(), await call.body(PermissionBody), await call.options()
    if (body.permissions is UNSET) == (body.permission is UNSET):
        raise refusal(400, "VALIDATION_ERROR", "[body.permissions] Expected either permissions or permission")
    organization_id = await _organization(call, body.organization_id)
    acting = Acting(session.user_id, options, call.now, session.id)
    asked = {} if body.permissions is UNSET else body.permissions
    success = await call.read(asking.has_permission, acting, organization_id, asked)
    return {"error": None, "success": success}


def page_size(options: OrganizationOptions) -> int:
    """Where none is asked for: everybody whom there may be."""
    return min(options.membership_limit or DEFAULT_PAGE, LARGEST_PAGE)


async def _organization(call: ApiCall, named: str | None) -> str:
    """The one that is named, or that the session is in."""
    organization_id = named or (await call.session()).active_organization_id
    if organization_id is None:
        raise asking.no_active_organization()
    return organization_id


def _event(call: ApiCall, type: str, description: str, organization_id: str, session: ApiSession) -> Event:
    """The unit says whom it is about."""
    return call.event(type, description, organization_id=organization_id, by=session.user_id)


# --- Units that also shape their answer ------------------------------------------------------------------------------


def _list(
    connection: Connection,
    acting: Acting,
    organization_id: str | None,
    slug: str | None,
    wanted: Wanted,
) -> dict[str, Any]:
    known = id_of_named(connection, organization_id, slug)
    if known is None:
        raise asking.no_active_organization()
    if member_of(connection, known, acting.user_id) is None:
        raise asking.stranger()
    check_standing(connection, acting, known)
    page = page_of(connection, known, wanted)
    members = page_shown(connection, known, page.members, acting.options.fields("member"))
    return {"members": members, "total": page.total}


def _change_role(connection: Connection, *, acting: Acting, **about: Any) -> dict[str, Any]:
    changed = roles.update_member_role(connection, acting, **about)
    return shown_with_fields(connection, changed, acting.options.fields("member"))


def _transfer(connection: Connection, *, acting: Acting, **about: Any) -> dict[str, Any]:
    made, declared = roles.transfer_ownership(connection, acting, **about), acting.options.fields("member")
    return {
        "member": shown_with_fields(connection, made.owner, declared),
        "formerOwner": shown_with_fields(connection, made.former, declared),
    }


def _remove(connection: Connection, *, acting: Acting, named: str, **about: Any) -> dict[str, Any]:
    gone = removing.remove_member(connection, acting, named=named, **about)
    shown = member_shown(gone.member, acting.options.fields("member"), gone.fields)
    return with_user(shown, gone.person) if "@" in named else shown


def _leave(connection: Connection, acting: Acting, *about: Any) -> dict[str, Any]:
    gone = removing.leave_organization(connection, acting, *about)
    return with_user(member_shown(gone.member, acting.options.fields("member"), gone.fields), gone.person)


def _active(connection: Connection, acting: Acting, organization_id: str) -> dict[str, Any]:
    found = asking.active_member(connection, acting, organization_id)
    declared = acting.options.fields("member")
    return with_user(shown_with_fields(connection, found.member, declared), found.person)


handlers = [
    list_members,
    update_member_role,
    transfer_ownership,
    remove_member,
    leave_organization,
    get_active_member,
    get_active_member_role,
    has_permission,
]
