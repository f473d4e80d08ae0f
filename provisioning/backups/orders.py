"""What the platform API and the commands may ask (`core.tenants.TenantBackups`), and how it is carried out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection

from controlplane.registry.backups import (
    BackupRecord,
    forget_backups,
    get_backup,
    list_backups,
    put_backup,
    record_erasures,
    remove_backup,
)
from controlplane.registry.operations import (
    LEASE_MS,
    OperationRecord,
    finish_operation,
    insert_operation,
    new_operation,
    refuse_while_replaced,
)
from controlplane.registry.tenants import SERVING, RegisteredTenant, get_tenant
from core.database import Database
from core.errors import Conflict, IdentityError, InvalidInput, Unavailable
from core.failpoints import failpoint
from core.ids import new_id
from core.tenants import RestoreOrder
from provisioning.backups import restoring
from provisioning.backups.stored import delete_backup, read_heading
from provisioning.backups.taking import location_of, past_of, path_of, take
from provisioning.journal import GivenUp, Journal, Steps
from provisioning.parts import Parts

KIND = "backup"
MOST_ATTEMPTS = 8

Run = Callable[[OperationRecord], Awaitable[None]]


class Backups:
    """`run` carries an operation out: it returns when that is done or the time limit of a request has passed."""

    def __init__(self, parts: Parts, run: Run) -> None:
        self._parts = parts
        self._run = run

    async def take(self, tenant_id: str, actor: str | None = None, *, as_of: int | None = None) -> str:
        parameters: dict[str, Any] = {"backup_id": new_id("bak")}
        if as_of is not None:
            past_of(self._parts, await self._parts.registry.read(get_tenant, tenant_id))
            if as_of > self._parts.now():
                raise InvalidInput("The moment lies in the future.")
            parameters["as_of"] = as_of
        return await self._begin(KIND, tenant_id, parameters, actor)

    async def restore(self, tenant_id: str, order: RestoreOrder, actor: str | None = None) -> str:
        parameters: dict[str, Any] = {
            "backend": order.backend,
            "region": order.region,
            "present_is_lost": order.present_is_lost,
        }
        if order.backend is not None:
            self._parts.backend(order.backend).place(
                tenant_id, 1, order.region
            )  # refuses what does not exist
        if order.file is not None:
            await asyncio.to_thread(read_heading, order.file)
            parameters["file"] = str(order.file.absolute())
        else:
            backup = await self._parts.registry.read(get_backup, tenant_id, order.backup_id or "")
            path_of(self._parts, backup)
            parameters["backup_id"] = backup.id
        return await self._begin(restoring.KIND, tenant_id, parameters, actor)

    async def delete(self, tenant_id: str, backup_id: str) -> None:
        backup = await self._parts.registry.read(get_backup, tenant_id, backup_id)
        await drop(self._parts, backup)

    async def _begin(self, kind: str, tenant_id: str, parameters: dict[str, Any], actor: str | None) -> str:
        now = self._parts.now()
        operation = new_operation(
            new_id("op"),
            tenant_id,
            kind,
            now,
            actor=actor,
            parameters=parameters,
            lease_owner=self._parts.owner,
            lease_expires_at=now + LEASE_MS,
        )
        await self._parts.registry.write(_begin, operation)
        await self._run(operation)
        return operation.id


def _begin(connection: Connection, operation: OperationRecord) -> None:
    tenant = get_tenant(connection, operation.tenant_id)
    if tenant.state not in SERVING:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    if operation.kind == restoring.KIND:
        refuse_while_replaced(connection, operation.tenant_id)
    insert_operation(connection, operation)


async def take_backup(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    """The operation `backup`: what is damaged is no backup, however often it is copied."""
    parameters = journal.operation.parameters
    backup_id = parameters["backup_id"]
    await journal.step("copy")
    try:
        async with journal.held():
            backup = await asyncio.to_thread(
                take, parts, tenant, backup_id, "manual", parameters.get("as_of")
            )
    except Exception as error:
        is_final = isinstance(error, IdentityError) and not isinstance(error, Unavailable)
        if not is_final and journal.operation.attempts < MOST_ATTEMPTS:
            raise
        await asyncio.to_thread(
            delete_backup, parts.settings.backup_folder / location_of(tenant.id, backup_id)
        )
        raise GivenUp from error
    await parts.registry.write(_keep, journal.operation, backup, parts.now(), journal.ended())


def _keep(
    connection: Connection, operation: OperationRecord, backup: BackupRecord, now: int, steps: Steps
) -> None:
    finish_operation(connection, operation.id, operation.fencing, now, steps=steps)
    put_backup(connection, backup)


async def drop(parts: Parts, backup: BackupRecord) -> None:
    """The file first: a crash in between leaves a row, and deleting is safe to repeat."""
    await asyncio.to_thread(delete_backup, path_of(parts, backup))
    failpoint("backup.dropped")
    await parts.registry.write(remove_backup, backup.id)


async def destroy_backups(parts: Parts, tenant_id: str) -> None:
    """The tenant is destroyed. What another machine keeps is unreadable: its key is destroyed, too."""
    for backup in await parts.registry.read(list_backups, tenant_id):
        if backup.node is None or backup.node == parts.settings.node:
            await asyncio.to_thread(delete_backup, path_of(parts, backup))
    await parts.registry.write(forget_backups, tenant_id)


class RegistryErasures:
    """Where the outbox of a tenant tells of deleted users (`core.tenants.Erasures`)."""

    def __init__(self, registry: Database) -> None:
        self._registry = registry

    async def record(self, tenant_id: str, digest: str, erased_at: int) -> None:
        await self._registry.write(record_erasures, tenant_id, [(digest, erased_at)])
