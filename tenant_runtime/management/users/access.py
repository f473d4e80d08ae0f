"""`/api/v2/users/{id}/...`: what a user holds in the tenant as a whole, and where the user belongs."""

from collections.abc import Sequence
from typing import Any

from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, bindparam, delete, select

from core.crypto.sealing import DataKey
from core.database.sql import insert
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.apis import roles
from tenant_runtime.management.apis.permission_lists import (
    Permission,
    PermissionsBody,
    resolved,
    show_permission,
)
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.listing import Listing, answer
from tenant_runtime.management.operators import ending_lost_power
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import creating, reading, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.management.users.bodies import RolesBody
from tenant_runtime.models import (
    Membership,
    Organization,
    ResourceServer,
    Role,
    Scope,
    UserPermission,
    UserRole,
)

_role, _held, _direct = Role.__table__, UserRole.__table__, UserPermission.__table__
_server, _scope, _organization, _membership = (
    model.__table__ for model in (ResourceServer, Scope, Organization, Membership)
)

ROLES = Listing(
    "roles",
    select(_role, _held.c.created_at.label("held_since"))
    .join(_held, _held.c.role_id == _role.c.id)
    .where(_held.c.user_id == bindparam("user")),
    (_role.c.created_at, _role.c.id),
    roles.shape_all,
)
PERMISSIONS = Listing(
    "permissions",
    select(
        _direct.c.permission,
        _direct.c.resource_server_id,
        _server.c.identifier,
        _server.c.name,
        _scope.c.description,
    )
    .join(_server, _server.c.id == _direct.c.resource_server_id)
    .join(
        _scope,
        (_scope.c.resource_server_id == _direct.c.resource_server_id)
        & (_scope.c.value == _direct.c.permission),
    )
    .where(_direct.c.user_id == bindparam("user")),
    (_direct.c.resource_server_id, _direct.c.permission),
    lambda _, rows: [show_permission(row) for row in rows],
)
ORGANIZATIONS = Listing(
    "organizations",
    select(_organization)
    .join(_membership, _membership.c.organization_id == _organization.c.id)
    .where(_membership.c.user_id == bindparam("user")),
    (_organization.c.created_at, _organization.c.id),
    organizations.shape_all,
)


@reading("/users/{user_id:str}/roles", "read:users", "read:role_members")
async def list_user_roles(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, ROLES, user=user_id)


@creating("/users/{user_id:str}/roles", "update:users", "create:role_members", status_code=204)
async def add_user_roles(call: CallOf, user_id: FromPath[str], data: JSONBody[RolesBody]) -> None:
    escalation.check_not_self(call.actor, user_id)
    await call.write(_add_roles, user_id, data.roles, call.actor, call.now)


@removing("/users/{user_id:str}/roles", "update:users", "delete:role_members")
async def remove_user_roles(call: CallOf, user_id: FromPath[str], data: JSONBody[RolesBody]) -> None:
    key = call.tenant.data_key
    await call.write(_remove_roles, user_id, data.roles, call.actor, key, call.now)
    call.services.deliveries.soon(call.tenant)


@reading("/users/{user_id:str}/permissions", "read:users")
async def list_user_permissions(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, PERMISSIONS, user=user_id)


@creating("/users/{user_id:str}/permissions", "update:users")
async def add_user_permissions(
    call: CallOf, user_id: FromPath[str], data: JSONBody[PermissionsBody]
) -> dict[str, Any]:
    escalation.check_not_self(call.actor, user_id)
    return await call.write(_add_permissions, user_id, data.permissions, call.actor, call.now)


@removing("/users/{user_id:str}/permissions", "update:users")
async def remove_user_permissions(
    call: CallOf, user_id: FromPath[str], data: JSONBody[PermissionsBody]
) -> None:
    key = call.tenant.data_key
    await call.write(_remove_permissions, user_id, data.permissions, call.actor, key, call.now)
    call.services.deliveries.soon(call.tenant)


@reading("/users/{user_id:str}/organizations", "read:organizations")
async def list_user_organizations(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, ORGANIZATIONS, user=user_id)


def _add_roles(
    connection: Connection, user_id: str, role_ids: Sequence[str], actor: Actor, now: int
) -> Written:
    users.ENTITY.load(connection, user_id)
    roles.check_all_exist(connection, role_ids)
    escalation.check_roles(connection, actor, role_ids)
    rows = [
        {"user_id": user_id, "role_id": role_id, "created_at": now} for role_id in dict.fromkeys(role_ids)
    ]
    added = connection.execute(insert(_held).on_conflict_do_nothing(), rows).rowcount
    return Written(after={"user_id": user_id, "roles": list(role_ids)} if added else None)


def _remove_roles(
    connection: Connection, user_id: str, role_ids: Sequence[str], actor: Actor, data_key: DataKey, now: int
) -> Written:
    users.ENTITY.load(connection, user_id)
    escalation.check_platform_roles(connection, actor, role_ids)
    gone = delete(_held).where(_held.c.user_id == user_id, _held.c.role_id.in_(role_ids))
    with ending_lost_power(connection, data_key, [user_id], now):
        removed = connection.execute(gone).rowcount
    return Written(before={"user_id": user_id, "roles": list(role_ids)} if removed else None)


def _add_permissions(
    connection: Connection, user_id: str, asked: Sequence[Permission], actor: Actor, now: int
) -> Written:
    users.ENTITY.load(connection, user_id)
    pairs = resolved(connection, asked, actor)
    rows = [
        {"user_id": user_id, "resource_server_id": server, "permission": value, "created_at": now}
        for server, value in pairs
    ]
    added = connection.execute(insert(_direct).on_conflict_do_nothing(), rows).rowcount
    return Written(answer={}, after=_told(user_id, pairs) if added else None)


def _remove_permissions(
    connection: Connection,
    user_id: str,
    asked: Sequence[Permission],
    actor: Actor,
    data_key: DataKey,
    now: int,
) -> Written:
    users.ENTITY.load(connection, user_id)
    pairs, removed = resolved(connection, asked, None), 0
    escalation.check_platform_permissions(connection, actor, user_id, (value for _, value in pairs))
    with ending_lost_power(connection, data_key, [user_id], now):
        for server, value in pairs:
            held = (
                _direct.c.user_id == user_id,
                _direct.c.resource_server_id == server,
                _direct.c.permission == value,
            )
            removed += connection.execute(delete(_direct).where(*held)).rowcount
    return Written(before=_told(user_id, pairs) if removed else None)


def _told(user_id: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"user_id": user_id, "permissions": [f"{server}: {value}" for server, value in pairs]}


handlers = [
    list_user_roles,
    add_user_roles,
    remove_user_roles,
    list_user_permissions,
    add_user_permissions,
    remove_user_permissions,
    list_user_organizations,
]
