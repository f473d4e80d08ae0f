"""Unmaking a tenant. Sign-in stops in the transaction that records the wish; what follows may take its time.

    organization  its organization leaves tenant one; its members and rules are noted, to come back with a restore
    grace         the operation sleeps until `purge_after`
    key           the wrapped data key is destroyed: what the file holds sealed is unreadable from here on
    file          the database goes, and with it its backups and what it replaced
    tombstone     the id stays taken for ever; its custom domains are free

A creation that never reached `active` is cancelled the same way, without grace, and frees the id.
"""

import asyncio
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from controlplane.registry.custom_domains import release_all
from controlplane.registry.operations import (
    OperationRecord,
    finish_operation,
    release_operation,
    write_operation,
)
from controlplane.registry.tenants import RegisteredTenant, change_tenant, remove_tenant
from core.failpoints import failpoint
from provisioning.backups.orders import destroy_backups
from provisioning.journal import Journal, Steps
from provisioning.organization import read_members, remove_organization
from provisioning.organization_rules import read_rules
from provisioning.parts import Parts
from provisioning.replacing import delete_retired


async def remove(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    if journal.operation.parameters.get("cancel"):
        await _cancel(parts, tenant, journal)
        return
    await _step(journal, "organization")
    await _leave_tenant_one(parts, tenant, journal)
    await parts.databases.forget(parts.ref(tenant))
    failpoint("provision.organization.removed")
    await _step(journal, "grace")
    if tenant.purge_after is not None and parts.now() < tenant.purge_after:
        await _sleep(parts, journal, tenant.purge_after)
        return
    await _purge(parts, tenant, journal)


async def _purge(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    await _step(journal, "key")
    await parts.registry.write(_destroy_key, journal.operation, parts.now())
    await _step(journal, "file")
    await _delete_file(parts, tenant)
    await _step(journal, "tombstone")
    await parts.registry.write(_bury, journal.operation, parts.now(), journal.ended())
    failpoint("provision.tombstone.after")


async def _cancel(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    await _step(journal, "organization")
    await _leave_tenant_one(parts, tenant, journal)
    await _step(journal, "file")
    await _delete_file(parts, tenant)
    await _step(journal, "release")
    await parts.registry.write(_release, journal.operation, parts.now(), journal.ended())


async def _step(journal: Journal, name: str) -> None:
    await journal.step(name)
    failpoint(f"provision.delete.{name}.before")


async def _leave_tenant_one(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    if tenant.organization_id is None:
        return
    one = await parts.tenant_one()
    operation = journal.operation
    if "members" not in operation.parameters:
        members = await one.read(read_members, tenant.organization_id)
        parameters: dict[str, Any] = {
            **operation.parameters,
            "members": [asdict(member) for member in members],
            "rules": await one.read(read_rules, tenant.organization_id),
        }
        await parts.registry.write(
            write_operation, operation.id, operation.fencing, parts.now(), parameters=parameters
        )
    await one.alone(remove_organization, tenant.organization_id, now=parts.now(), converge=True)


async def _delete_file(parts: Parts, tenant: RegisteredTenant) -> None:
    ref = parts.ref(tenant)
    await parts.databases.forget(ref)
    await asyncio.to_thread(parts.backend(tenant.backend).delete, ref)
    await delete_retired(parts, tenant.id)
    await destroy_backups(parts, tenant.id)


async def _sleep(parts: Parts, journal: Journal, until: int) -> None:
    await parts.registry.write(
        release_operation,
        journal.operation.id,
        journal.operation.fencing,
        parts.now(),
        next_attempt_at=until,
        state="pending",
        steps=journal.steps,
    )


def _destroy_key(connection: Connection, operation: OperationRecord, now: int) -> None:
    write_operation(connection, operation.id, operation.fencing, now)
    change_tenant(connection, operation.tenant_id, now, wrapped_key=None)


def _bury(connection: Connection, operation: OperationRecord, now: int, steps: Steps) -> None:
    """Members' ids are no longer needed, and go with the rest."""
    finish_operation(connection, operation.id, operation.fencing, now, steps=steps, parameters={})
    release_all(connection, operation.tenant_id, now)
    change_tenant(
        connection,
        operation.tenant_id,
        now,
        state="deleted",
        deleted_at=now,
        organization_id=None,
        credentials=None,
    )


def _release(connection: Connection, operation: OperationRecord, now: int, steps: Steps) -> None:
    finish_operation(connection, operation.id, operation.fencing, now, steps=steps, parameters={})
    remove_tenant(connection, operation.tenant_id)
