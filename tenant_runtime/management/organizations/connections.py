"""`/api/v2/organizations/{id}/enabled_connections`: by which connections people act in an organization.

One that names none takes every connection of the tenant's; once it names one, only those (`organizations.membership`).
"""

from collections.abc import Mapping
from typing import Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET
from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from core.errors import Conflict, InvalidInput, NotFound
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Id, Maybe, named
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import OrganizationConnection

_table, _way = OrganizationConnection.__table__, ConnectionRow.__table__
_FLAGS = ("assign_membership_on_login", "is_signup_enabled", "show_as_button")
_ENABLED: Select[Any] = (
    select(*_table.c, _way.c.name, _way.c.strategy)
    .join(_way, _way.c.id == _table.c.connection_id)
    .where(_table.c.organization_id == bindparam("organization"))
)
_FIND = _ENABLED.where(_table.c.connection_id == bindparam("connection"))
_KNOWN = select(_way.c.id).where(_way.c.id == bindparam("connection"))


class EnabledConnectionPatch(Body):
    assign_membership_on_login: Maybe[bool] = UNSET
    is_signup_enabled: Maybe[bool] = UNSET
    show_as_button: Maybe[bool] = UNSET


class EnabledConnectionIn(EnabledConnectionPatch, kw_only=True):
    connection_id: Id


def shape(row: Row[Any]) -> dict[str, Any]:
    return {
        "connection_id": row.connection_id,
        **{name: getattr(row, name) for name in _FLAGS},
        "connection": {"name": row.name, "strategy": row.strategy},
    }


def _page(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


LISTING = Listing("enabled_connections", _ENABLED, (_table.c.created_at, _table.c.connection_id), _page)


@reading("/organizations/{id:str}/enabled_connections", "read:organization_connections")
async def list_enabled_connections(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(check_readable, id, call.actor)
    return await answer(call, LISTING, organization=id)


@creating("/organizations/{id:str}/enabled_connections", "create:organization_connections")
async def enable_connection(
    call: CallOf, id: FromPath[str], data: JSONBody[EnabledConnectionIn]
) -> dict[str, Any]:
    return await call.write(enable, id, named(data), call.actor, call.now)


@reading("/organizations/{id:str}/enabled_connections/{connection_id:str}", "read:organization_connections")
async def get_enabled_connection(
    call: CallOf, id: FromPath[str], connection_id: FromPath[str]
) -> dict[str, Any]:
    return await call.read(get, id, connection_id, call.actor)


@changing(
    "/organizations/{id:str}/enabled_connections/{connection_id:str}", "update:organization_connections"
)
async def update_enabled_connection(
    call: CallOf,
    id: FromPath[str],
    connection_id: FromPath[str],
    data: JSONBody[EnabledConnectionPatch],
) -> dict[str, Any]:
    return await call.write(change, id, connection_id, named(data), call.actor)


@removing(
    "/organizations/{id:str}/enabled_connections/{connection_id:str}", "delete:organization_connections"
)
async def disable_connection(call: CallOf, id: FromPath[str], connection_id: FromPath[str]) -> None:
    await call.write(disable, id, connection_id, call.actor)


handlers = [
    list_enabled_connections,
    enable_connection,
    get_enabled_connection,
    update_enabled_connection,
    disable_connection,
]


def check_readable(connection: Connection, id: str, actor: Actor) -> None:
    organizations.load_manageable(connection, id, actor, is_reading=True)


def _find(connection: Connection, id: str, connection_id: str) -> Row[Any] | None:
    key = {"organization": id, "connection": connection_id}
    return connection.execute(_FIND, key).one_or_none()


def _load(connection: Connection, id: str, connection_id: str) -> Row[Any]:
    row = _find(connection, id, connection_id)
    if row is None:
        raise NotFound("connection")
    return row


def get(connection: Connection, id: str, connection_id: str, actor: Actor) -> dict[str, Any]:
    check_readable(connection, id, actor)
    return shape(_load(connection, id, connection_id))


def enable(connection: Connection, id: str, members: dict[str, Any], actor: Actor, now: int) -> Written:
    organization = organizations.load_manageable(connection, id, actor)
    connection_id = members["connection_id"]
    if connection.execute(_KNOWN, {"connection": connection_id}).first() is None:
        raise NotFound("connection")
    if _find(connection, id, connection_id) is not None:
        raise Conflict("The connection is enabled for this organization already.")
    flags = {"assign_membership_on_login": False, "is_signup_enabled": False, "show_as_button": True}
    values = flags | members
    _check(organization, values)
    connection.execute(insert(_table), {**values, "organization_id": id, "created_at": now})
    shown = shape(_load(connection, id, connection_id))
    return Written(answer=shown, after={"organization": id, **shown})


def change(
    connection: Connection, id: str, connection_id: str, members: dict[str, Any], actor: Actor
) -> Written:
    organization = organizations.load_manageable(connection, id, actor)
    row = _load(connection, id, connection_id)
    before = shape(row)
    _check(organization, {**before, **members})
    if any(before[name] != value for name, value in members.items()):
        where = (_table.c.organization_id == id, _table.c.connection_id == connection_id)
        connection.execute(update(_table).where(*where).values(members))
    shown = shape(_load(connection, id, connection_id))
    told = {"organization": id}
    return Written(answer=shown, before={**told, **before}, after={**told, **shown})


def disable(connection: Connection, id: str, connection_id: str, actor: Actor) -> Written:
    """Also one that the tenant has no more."""
    organizations.load_manageable(connection, id, actor)
    where = (_table.c.organization_id == id, _table.c.connection_id == connection_id)
    if not connection.execute(delete(_table).where(*where)).rowcount:
        return Written()
    return Written(before={"organization": id, "connection_id": connection_id})


def _check(organization: Row[Any], values: Mapping[str, Any]) -> None:
    brings = values["assign_membership_on_login"]
    if brings and organization.managed_by is not None:
        raise InvalidInput(
            "The members of a tenant's organization are added or invited, and come no other way."
        )
    if values["is_signup_enabled"] and not brings:
        raise InvalidInput(
            "`is_signup_enabled` needs `assign_membership_on_login`: who signs up would be refused."
        )
