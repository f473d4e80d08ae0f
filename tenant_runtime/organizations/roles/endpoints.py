"""`/api/auth/organization/*-role*` (`specs/organization-api.md` A.6). Where a tenant has no roles of this kind, there
are no such paths."""

from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.ids import new_id
from tenant_runtime.audit import Event
from tenant_runtime.organizations.acting import Acting, chosen_organization
from tenant_runtime.organizations.fields import checked, given_fields
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.roles import units
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
Word = Annotated[str, Meta(max_length=100)]
Permission = Annotated[dict[Word, Annotated[list[Word], Meta(max_length=100)]], Meta(max_length=100)]


class NewRoleBody(msgspec.Struct, rename="camel"):
    role: str
    permission: Permission
    organization_id: Id | None = None
    additional_fields: dict[str, Any] = msgspec.field(default_factory=dict)


class WhichRole(msgspec.Struct, rename="camel"):
    """Of a body and of a query. A name goes before an id."""

    role_name: str | None = None
    role_id: str | None = None
    organization_id: Id | None = None

    def named(self, where: str) -> units.Named:
        if not self.role_name and not self.role_id:
            raise refusal(400, "VALIDATION_ERROR", f"[{where}.roleName] Required; [{where}.roleId] Required")
        return units.Named(self.role_name or None, self.role_id)


class RoleData(msgspec.Struct, rename="camel"):
    permission: Permission | UnsetType = UNSET
    role_name: str | UnsetType = UNSET


class RoleUpdateBody(WhichRole, rename="camel", kw_only=True):
    data: RoleData


class OrganizationQuery(msgspec.Struct, rename="camel"):
    organization_id: str | None = None


@write_endpoint("/organization/create-role")
async def create_role(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(), await call.body(NewRoleBody)
    organization_id = body.organization_id or session.active_organization_id
    if not organization_id:
        raise refusal(400, "YOU_MUST_BE_IN_AN_ORGANIZATION_TO_CREATE_A_ROLE")
    new = units.Role(
        id=new_id("orl"),
        organization_id=organization_id,
        role=body.role,
        permission=_permission(body.permission),
        fields=checked(options.fields("role"), body.additional_fields, where="body.additionalFields"),
        created_at=call.now,
        updated_at=None,
    )
    event = _event(call, "organization_role_created", "A role of an organization was made", organization_id)
    role = await call.write(units.create_role, _acting(call, session, options), new, event)
    return {"success": True, "roleData": role.shown(options), "statements": dict(role.permission)}


@write_endpoint("/organization/update-role")
async def update_role(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(), await call.body(RoleUpdateBody)
    named, organization_id = body.named("body"), chosen_organization(session, body.organization_id)
    changes: dict[str, Any] = {}
    if body.data.permission is not UNSET:
        changes["permission"] = _permission(body.data.permission)
    if body.data.role_name is not UNSET:
        changes["role"] = body.data.role_name
    if fields := await given_fields(call, options.fields("role"), under="data", is_new=False):
        changes["fields"] = fields
    if not changes:
        raise refusal(400, "VALIDATION_ERROR", "[body.data] Nothing to update")
    event = _event(
        call, "organization_role_updated", "A role of an organization was changed", organization_id
    )
    unit = partial(units.update_role, acting=_acting(call, session, options), named=named, event=event)
    role = await call.write(partial(unit, organization_id=organization_id, changes=changes))
    return {"success": True, "roleData": role.shown(options)}


@write_endpoint("/organization/delete-role")
async def delete_role(call: CallOf) -> Any:
    options = await _options(call)
    session, body = await call.session(), await call.body(WhichRole)
    named, organization_id = body.named("body"), chosen_organization(session, body.organization_id)
    event = _event(
        call, "organization_role_deleted", "A role of an organization was deleted", organization_id
    )
    await call.write(units.delete_role, _acting(call, session, options), organization_id, named, event)
    return {"success": True}


@read_endpoint("/organization/list-roles")
async def list_roles(call: CallOf) -> Any:
    options = await _options(call)
    session, query = await call.session(), call.query(OrganizationQuery)
    organization_id = chosen_organization(session, query.organization_id)
    roles = await call.read(units.list_roles, _acting(call, session, options), organization_id)
    return [role.shown(options) for role in roles]


@read_endpoint("/organization/get-role")
async def get_role(call: CallOf) -> Any:
    options = await _options(call)
    session, query = await call.session(), call.query(WhichRole)
    named, organization_id = query.named("query"), chosen_organization(session, query.organization_id)
    role = await call.read(units.get_role, _acting(call, session, options), organization_id, named)
    return role.shown(options)


async def _options(call: ApiCall) -> OrganizationOptions:
    options = await call.options()
    if not options.dynamic_access_control.enabled:
        raise bare(404)
    return options


def _acting(call: ApiCall, session: ApiSession, options: OrganizationOptions) -> Acting:
    return Acting(session.user_id, options, call.now, session.id)


def _permission(given: Permission) -> dict[str, list[str]]:
    return {resource: list(dict.fromkeys(actions)) for resource, actions in given.items()}


def _event(call: ApiCall, type: str, description: str, organization_id: str) -> Event:
    return call.event(type, description, organization_id=organization_id)


handlers = [create_role, update_role, delete_role, list_roles, get_role]
