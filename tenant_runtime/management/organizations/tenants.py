"""Organizations of tenant one that are tenants (`organizations.as_tenants`), as an operator makes and deletes them.

Who may manage organizations there does not yet make or delete tenants: that takes the platform's own permission.
"""

from typing import Any

from sqlalchemy import Connection, Row, select, update

from core.errors import InsufficientScope
from core.tenants import NewTenant, TenantLifecycle
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, Written
from tenant_runtime.management.editing import merged
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.idempotency import made_elsewhere
from tenant_runtime.models import Organization
from tenant_runtime.organizations.as_tenants import CREATE, is_being_made

_table = Organization.__table__


async def make_tenant(call: Call, lifecycle: TenantLifecycle, members: dict[str, Any]) -> None:
    """Nobody is in its organization: members are added as to any other. Sent again with its `Idempotency-Key`, it goes
    on with the tenant that it began, whoever died in between."""
    _require(call.actor, CREATE)
    sent, name = await call.sent_before(), members["name"]
    if sent.answer is not None:
        return
    key = None if sent.claim is None else made_elsewhere(sent.claim, {"tenant_id": name})
    if key is not None and await lifecycle.has_made(key, name):
        return
    display_name = members.get("display_name") or name
    await lifecycle.create(NewTenant(id=name, display_name=display_name, add_creator=False, request_key=key))


def furnish(connection: Connection, entity: Entity, members: dict[str, Any], now: int) -> Written:
    """What of it does not follow the tenant."""
    found = select(_table).where(_table.c.name == members["name"], _table.c.managed_by.is_not(None))
    row = connection.execute(found).one_or_none()
    if row is None:
        raise is_being_made()
    objects = {name: merged({}, members.get(name)) for name in ("branding", "metadata")}
    changed = update(_table).where(_table.c.id == row.id).values(**objects, updated_at=now).returning(_table)
    return entity.made(connection.execute(changed).one())


def tenant_of(row: Row[Any], actor: Actor) -> str | None:
    """Which one goes with the organization; None: none does."""
    if row.managed_by is None:
        return None
    _require(actor, "delete:tenants")
    return str(row.name)


def gone(connection: Connection, shown: dict[str, Any]) -> Written:
    """Told once the tenant's deletion has begun."""
    return Written(before=shown)


def _require(actor: Actor, permission: str) -> None:
    if not actor.holds(permission):
        raise InsufficientScope(permission)
