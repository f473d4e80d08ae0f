"""`POST /api/v2/organizations`: an organization, with the connections that it begins with.

They are named in the same unit, so that nobody comes in by another one meanwhile: an organization that names none takes
every connection. Where organizations are tenants, one made here is a tenant; its connections are named afterwards,
because a tenant is not unmade when they are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from litestar.params import JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection

from core.errors import Forbidden, InsufficientScope
from core.ids import new_id
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Maybe, merged
from tenant_runtime.management.organizations import connections, tenants
from tenant_runtime.management.organizations.connections import EnabledConnectionIn
from tenant_runtime.management.organizations.resource import (
    ENTITY,
    OrganizationName,
    OrganizationPatch,
    checked,
    stands_for_tenant,
    stored,
)
from tenant_runtime.management.routing import creating
from tenant_runtime.organizations.as_tenants import lifecycle_for

ENABLE = "create:organization_connections"


class OrganizationIn(OrganizationPatch, kw_only=True):
    name: OrganizationName
    enabled_connections: Maybe[Annotated[list[EnabledConnectionIn], Meta(max_length=10)]] = UNSET


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The connections that it begins with, and who names them."""

    connections: Sequence[dict[str, Any]]
    actor: Actor
    now: int


@creating("/organizations", "create:organizations")
async def create_organization(call: CallOf, data: JSONBody[OrganizationIn]) -> dict[str, Any]:
    members = checked(data)
    enabled = members.pop("enabled_connections", [])
    if enabled and not call.actor.holds(ENABLE):
        raise InsufficientScope(ENABLE)
    if (lifecycle := lifecycle_for(call.tenant, call.services)) is not None:
        if members.get("suspended"):
            raise stands_for_tenant()
        if enabled:
            message = "The connections of a tenant's organization are named once it is there."
            raise Forbidden(message, code="operation_not_supported")
        await tenants.make_tenant(call, lifecycle, members)
        return await call.write(tenants.furnish, ENTITY, members, call.now)
    return await call.write(_create, new_id("org"), members, _Beginning(enabled, call.actor, call.now))


handlers = [create_organization]


def _create(connection: Connection, id: str, members: dict[str, Any], beginning: _Beginning) -> Written:
    objects = {name: merged({}, members.get(name)) for name in ("branding", "metadata")}
    now, actor = beginning.now, beginning.actor
    values = {**stored(members, None, now), **objects, "id": id, "created_at": now, "updated_at": now}
    made = ENTITY.made(ENTITY.create(connection, values))
    if not beginning.connections:
        return made
    enabled = [connections.enable(connection, id, one, actor, now).answer for one in beginning.connections]
    more = {"enabled_connections": enabled}
    return replace(made, answer={**made.answer, **more}, after={**made.after, **more})
