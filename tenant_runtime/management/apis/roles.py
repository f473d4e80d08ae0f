"""`/api/v2/roles`: roles, the permissions they grant, and who holds them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from litestar import Response
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, false, select

from core.crypto.sealing import DataKey
from core.database.sql import insert
from core.errors import InvalidInput, InvalidQuery
from core.http.paging import parse_text
from core.ids import new_id
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.apis.permission_lists import (
    Permission,
    PermissionsBody,
    resolved,
    show_permission,
)
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.catalogue_sync import check_wait, waited
from tenant_runtime.management.editing import (
    Body,
    Id,
    Labels,
    LongText,
    Maybe,
    Name,
    Object,
    check_labels,
    merged,
    named,
)
from tenant_runtime.management.entities import Entity, check_all_known
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.operators import ending_lost_power, operators_by
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import ResourceServer, Role, RolePermission, Scope, User, UserRole

_table, _held, _assigned = Role.__table__, RolePermission.__table__, UserRole.__table__
_server, _scope, _user = ResourceServer.__table__, Scope.__table__, User.__table__


class RoleIn(Body, kw_only=True):
    name: Name
    description: Maybe[LongText | None] = UNSET
    metadata: Maybe[Object | None] = UNSET
    labels: Maybe[Labels] = UNSET
    is_system: Maybe[bool] = UNSET  # Auth0's deploy tool sends back what it has read


class RolePatch(Body):
    name: Maybe[Name] = UNSET
    description: Maybe[LongText | None] = UNSET
    metadata: Maybe[Object | None] = UNSET
    labels: Maybe[Labels] = UNSET
    is_system: Maybe[bool] = UNSET


class UsersBody(Body):
    users: Annotated[list[Id], Meta(min_length=1, max_length=100)]


def shape(row: Row[Any]) -> dict[str, Any]:
    shown = {"id": row.id, "name": row.name, "description": row.description, "is_system": row.is_system}
    kept = {"metadata": row.metadata, "labels": row.labels}
    return {**shown, **{name: value for name, value in kept.items() if value}}


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Entity("role", _table, "id", shape)
LISTING = Listing("roles", select(_table), (_table.c.created_at, _table.c.id), shape_all)
PERMISSIONS = Listing(
    "permissions",
    select(
        _held.c.permission,
        _held.c.resource_server_id,
        _server.c.identifier,
        _server.c.name,
        _scope.c.description,
    )
    .join(_server, _server.c.id == _held.c.resource_server_id)
    .join(
        _scope,
        (_scope.c.resource_server_id == _held.c.resource_server_id) & (_scope.c.value == _held.c.permission),
    )
    .where(_held.c.role_id == bindparam("role")),
    (_held.c.resource_server_id, _held.c.permission),
    lambda _, rows: [show_permission(row) for row in rows],
)
USERS = Listing(
    "users",
    select(_user.c.user_id, _user.c.email, _user.c.name, _user.c.picture, _assigned.c.created_at)
    .join(_assigned, _assigned.c.user_id == _user.c.user_id)
    .where(_assigned.c.role_id == bindparam("role")),
    (_assigned.c.created_at, _user.c.user_id),
    lambda _, rows: [
        {"user_id": row.user_id, "email": row.email, "name": row.name, "picture": row.picture} for row in rows
    ],
)


@reading("/roles", "read:roles")
async def list_roles(call: CallOf) -> Any:
    """`type=tenant`: those that the tenant itself keeps, without what the control plane shares (Auth0's deploy tool
    asks so, and would write each one that it is shown)."""
    query, criteria = call.request.query_params, list[ColumnElement[bool]]()
    if (name := parse_text(query, "name_filter")) is not None:
        criteria.append(_table.c.name.icontains(name, autoescape=True))
    match parse_text(query, "type"):
        case None:
            pass
        case "tenant":
            criteria.append(_table.c.is_system.is_(False))
        case "organization":
            criteria.append(false())
        case _:
            raise InvalidQuery("The parameter 'type' must be tenant or organization.")
    return await answer(call, LISTING, *criteria)


@reading("/roles/{id:str}", "read:roles")
async def get_role(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(ENTITY.load, id))


@creating("/roles", "create:roles")
async def create_role(call: CallOf, data: JSONBody[RoleIn]) -> Response[dict[str, Any]]:
    check_labels(call.tenant, data.labels)
    is_waiting = check_wait(call)
    return await waited(call, is_waiting, await call.write(_create, new_id("rol"), named(data), call.now))


@changing("/roles/{id:str}", "update:roles")
async def update_role(call: CallOf, id: FromPath[str], data: JSONBody[RolePatch]) -> Response[dict[str, Any]]:
    check_labels(call.tenant, data.labels)
    is_waiting = check_wait(call)
    return await waited(call, is_waiting, await call.write(_update, id, named(data), call.actor, call.now))


@removing("/roles/{id:str}", "delete:roles")
async def delete_role(call: CallOf, id: FromPath[str]) -> Response[None]:
    is_waiting = check_wait(call)
    done = await call.write(_delete, id, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)
    return await waited(call, is_waiting, done)


@reading("/roles/{id:str}/permissions", "read:roles")
async def list_role_permissions(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(ENTITY.load, id)
    return await answer(call, PERMISSIONS, role=id)


@creating("/roles/{id:str}/permissions", "update:roles")
async def add_role_permissions(
    call: CallOf, id: FromPath[str], data: JSONBody[PermissionsBody]
) -> Response[dict[str, Any]]:
    is_waiting = check_wait(call)
    done = await call.write(_add_permissions, id, data.permissions, call.actor, call.now)
    return await waited(call, is_waiting, done)


@removing("/roles/{id:str}/permissions", "update:roles")
async def remove_role_permissions(
    call: CallOf, id: FromPath[str], data: JSONBody[PermissionsBody]
) -> Response[None]:
    is_waiting = check_wait(call)
    key = call.tenant.data_key
    done = await call.write(_remove_permissions, id, data.permissions, call.actor, key, call.now)
    call.services.deliveries.soon(call.tenant)
    return await waited(call, is_waiting, done)


@reading("/roles/{id:str}/users", "read:roles", "read:role_members")
async def list_role_users(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(ENTITY.load, id)
    return await answer(call, USERS, role=id)


@creating("/roles/{id:str}/users", "create:role_members", "update:roles", status_code=200)
async def assign_users_to_role(call: CallOf, id: FromPath[str], data: JSONBody[UsersBody]) -> dict[str, Any]:
    escalation.check_not_self(call.actor, *data.users)
    return await call.write(_assign_users, id, data.users, call.actor, call.now)


def check_all_exist(connection: Connection, role_ids: Sequence[str]) -> None:
    known = connection.execute(select(_table.c.id).where(_table.c.id.in_(role_ids))).scalars().all()
    check_all_known("role", role_ids, known)


def _without_system(members: Mapping[str, Any], is_system: bool) -> dict[str, Any]:
    """It may be named as it is."""
    if members.get("is_system", is_system) != is_system:
        raise InvalidInput("`is_system` is nobody's to change.")
    return {name: value for name, value in members.items() if name != "is_system"}


def _create(connection: Connection, id: str, members: dict[str, Any], now: int) -> Written:
    members = _without_system(members, False)
    metadata = merged({}, members.get("metadata"))
    values = {**members, "metadata": metadata, "id": id, "created_at": now, "updated_at": now}
    return ENTITY.made(ENTITY.create(connection, values))


def _update(connection: Connection, id: str, members: dict[str, Any], actor: Actor, now: int) -> Written:
    row = ENTITY.load(connection, id)
    escalation.check_platform_roles(connection, actor, [id])
    members = _without_system(members, row.is_system)
    if "metadata" in members:
        members = {**members, "metadata": merged(row.metadata, members["metadata"])}
    return ENTITY.changed(row, ENTITY.change(connection, row, members, now))


def _delete(connection: Connection, id: str, actor: Actor, data_key: DataKey, now: int) -> Written:
    escalation.check_platform_roles(connection, actor, [id])
    with ending_lost_power(connection, data_key, operators_by(connection, id), now):
        return ENTITY.remove(connection, id)


def _add_permissions(
    connection: Connection, id: str, asked: Sequence[Permission], actor: Actor, now: int
) -> Written:
    row = ENTITY.load(connection, id)
    pairs = resolved(connection, asked, actor)
    new = [pair for pair in pairs if pair not in _permissions_of(connection, id)]
    if new:
        rows = [{"role_id": id, "resource_server_id": server, "permission": value} for server, value in new]
        connection.execute(insert(_held), rows)
        ENTITY.change(connection, row, {"updated_at": now}, now)
    return Written(answer={}, after=_told(id, new))


def _remove_permissions(
    connection: Connection,
    id: str,
    asked: Sequence[Permission],
    actor: Actor,
    data_key: DataKey,
    now: int,
) -> Written:
    row = ENTITY.load(connection, id)
    escalation.check_platform_roles(connection, actor, [id])
    present = _permissions_of(connection, id)
    gone = [pair for pair in resolved(connection, asked, None) if pair in present]
    with ending_lost_power(connection, data_key, operators_by(connection, id), now):
        for server, value in gone:
            held = (_held.c.role_id == id, _held.c.resource_server_id == server, _held.c.permission == value)
            connection.execute(delete(_held).where(*held))
    if gone:
        ENTITY.change(connection, row, {"updated_at": now}, now)
    return Written(before=_told(id, gone))


def _permissions_of(connection: Connection, id: str) -> set[tuple[str, str]]:
    rows = connection.execute(
        select(_held.c.resource_server_id, _held.c.permission).where(_held.c.role_id == id)
    )
    return {(server, value) for server, value in rows}


def _told(id: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any] | None:
    return {"role": id, "permissions": [f"{server}: {value}" for server, value in pairs]} if pairs else None


def _assign_users(
    connection: Connection, id: str, user_ids: Sequence[str], actor: Actor, now: int
) -> Written:
    ENTITY.load(connection, id)
    escalation.check_roles(connection, actor, [id])
    users.check_all_exist(connection, user_ids)
    rows = [{"role_id": id, "user_id": user_id, "created_at": now} for user_id in dict.fromkeys(user_ids)]
    added = connection.execute(insert(_assigned).on_conflict_do_nothing(), rows).rowcount
    return Written(answer={}, after={"role": id, "users": list(user_ids)} if added else None)


handlers = [
    list_roles,
    get_role,
    create_role,
    update_role,
    delete_role,
    list_role_permissions,
    add_role_permissions,
    remove_role_permissions,
    list_role_users,
    assign_users_to_role,
]
