"""`/api/v2/organizations/{id}/connections`: what `enabled_connections` is, by the name that Auth0's later clients call
it. Only what a list with its total is called differs."""

from dataclasses import replace
from typing import Any

from litestar.params import FromPath, JSONBody

from tenant_runtime.management.calls import CallOf
from tenant_runtime.management.editing import named
from tenant_runtime.management.listing import answer
from tenant_runtime.management.organizations import connections
from tenant_runtime.management.organizations.connections import EnabledConnectionIn, EnabledConnectionPatch
from tenant_runtime.management.routing import changing, creating, reading, removing

PATH = "/organizations/{id:str}/connections"
LISTING = replace(connections.LISTING, key="connections")


@reading(PATH, "read:organization_connections")
async def list_organization_connections(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(connections.check_readable, id, call.actor)
    return await answer(call, LISTING, organization=id)


@creating(PATH, "create:organization_connections")
async def create_organization_connection(
    call: CallOf, id: FromPath[str], data: JSONBody[EnabledConnectionIn]
) -> dict[str, Any]:
    return await call.write(connections.enable, id, named(data), call.actor, call.now)


@reading(f"{PATH}/{{connection_id:str}}", "read:organization_connections")
async def get_organization_connection(
    call: CallOf, id: FromPath[str], connection_id: FromPath[str]
) -> dict[str, Any]:
    return await call.read(connections.get, id, connection_id, call.actor)


@changing(f"{PATH}/{{connection_id:str}}", "update:organization_connections")
async def update_organization_connection(
    call: CallOf, id: FromPath[str], connection_id: FromPath[str], data: JSONBody[EnabledConnectionPatch]
) -> dict[str, Any]:
    return await call.write(connections.change, id, connection_id, named(data), call.actor)


@removing(f"{PATH}/{{connection_id:str}}", "delete:organization_connections")
async def delete_organization_connection(
    call: CallOf, id: FromPath[str], connection_id: FromPath[str]
) -> None:
    await call.write(connections.disable, id, connection_id, call.actor)


handlers = [
    list_organization_connections,
    create_organization_connection,
    get_organization_connection,
    update_organization_connection,
    delete_organization_connection,
]
