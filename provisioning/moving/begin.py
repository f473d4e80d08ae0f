"""The wish to move a tenant, recorded: from then on it is moved, or it is said why not (`core.fleet.TenantMoves`)."""

from collections.abc import Awaitable, Callable

from sqlalchemy import Connection

from controlplane.registry.operations import (
    LEASE_MS,
    OperationRecord,
    insert_operation,
    new_operation,
    refuse_while_replaced,
)
from controlplane.registry.tenants import SERVING, get_tenant
from core.errors import Conflict
from core.ids import new_id
from provisioning.moving.run import KIND
from provisioning.parts import Parts
from provisioning.replacing import choose

Run = Callable[[OperationRecord], Awaitable[None]]


class Moves:
    """`run` carries an operation out: it returns when that is done or the time limit of a request has passed."""

    def __init__(self, parts: Parts, run: Run) -> None:
        self._parts = parts
        self._run = run

    async def move(
        self, tenant_id: str, backend: str, region: str | None = None, *, actor: str | None = None
    ) -> str:
        parts, now = self._parts, self._parts.now()
        tenant = await parts.registry.read(get_tenant, tenant_id)
        choose(parts, tenant, backend=backend, region=region)
        operation = new_operation(
            new_id("op"),
            tenant_id,
            KIND,
            now,
            actor=actor,
            parameters={"backend": backend, "region": region},
            lease_owner=parts.owner,
            lease_expires_at=now + LEASE_MS,
        )
        await self._run(await parts.registry.write(begin_move, operation))
        return operation.id


def begin_move(connection: Connection, operation: OperationRecord) -> OperationRecord:
    tenant = get_tenant(connection, operation.tenant_id)
    if tenant.state not in SERVING:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    there = operation.parameters["backend"], operation.parameters["region"]
    if (tenant.backend, tenant.region) == there:
        raise Conflict("The tenant's database is there already.", code="already_there")
    refuse_while_replaced(connection, tenant.id)
    insert_operation(connection, operation)
    return operation
