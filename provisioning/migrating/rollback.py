"""One tenant back to what it was before its migration, as an operation: the snapshot becomes a new generation.

What was written since is not in it; so the tenant is held back afterwards, until somebody has looked at it and releases
it. The database that it leaves is kept for the hours of grace.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from controlplane.registry.operations import (
    OperationRecord,
    finish_operation,
    insert_operation,
    unfinished_operation,
    write_operation,
)
from controlplane.registry.schema_states import hold_after_rollback, state_of
from controlplane.registry.tenants import SERVING, RegisteredTenant, get_tenant, refuse_tenant_one
from core.crypto.sealing import DataKey
from core.database import DatabaseRef
from core.errors import Conflict
from core.failpoints import failpoint
from provisioning.journal import Journal, Steps
from provisioning.migrating import snapshots
from provisioning.parts import Parts
from provisioning.replacing import Replacement, check, choose, flip, is_done, let_go, put_copy, relabel

KIND = "rollback"
REASON = "rolled back"
HOUR_MS = 3_600_000


def begin_rollback(
    connection: Connection, operation: OperationRecord, node: str, now: int
) -> OperationRecord:
    """From here on no run and no request migrates the tenant."""
    tenant = get_tenant(connection, operation.tenant_id)
    refuse_tenant_one(tenant)
    state = state_of(connection, tenant.id)
    if tenant.state not in SERVING:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    if unfinished_operation(connection, tenant.id) is not None:
        raise Conflict("Something else is being done to the tenant.", code="operation_running")
    if state.snapshot is None:
        raise Conflict("There is no snapshot from before a migration.", code="no_snapshot")
    if state.snapshot_node != node:
        raise Conflict(f"The snapshot is on the node {state.snapshot_node}.", code="no_snapshot")
    parameters = {"snapshot": state.snapshot, "node": node}
    operation = msgspec.structs.replace(operation, parameters=parameters)
    insert_operation(connection, operation)
    hold_after_rollback(connection, tenant.id, state.hold_reason or REASON, now)
    return operation


async def run_rollback(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    replacement = await _chosen(parts, tenant, journal)
    if is_done(tenant, replacement):
        await parts.registry.write(_finish, journal.operation, parts.now(), steps=journal.ended())
        return
    await journal.step("copy")
    failpoint("rollback.copy.before")
    replacement = await asyncio.to_thread(
        _put, parts, tenant, replacement, journal.operation.parameters["snapshot"]
    )
    version = await asyncio.to_thread(check, parts, tenant, replacement)
    await journal.step("flip")
    failpoint("rollback.flip.before")
    await parts.registry.write(
        _flip_and_finish,
        tenant,
        replacement,
        parts.now(),
        journal.operation,
        steps=journal.ended(),
        schema_version=version,
        grace_ms=int(parts.settings.replaced_grace_hours * HOUR_MS),
    )
    failpoint("rollback.flip.after")
    await let_go(parts, tenant)


async def _chosen(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> Replacement:
    """Written down before anything of it is made: whoever goes on after a crash finds it again."""
    operation = journal.operation
    known = operation.parameters.get("replacement")
    if known is not None:
        return msgspec.convert(known, Replacement)
    replacement = choose(parts, tenant)
    parameters = {**operation.parameters, "replacement": msgspec.to_builtins(replacement)}
    await parts.registry.write(
        write_operation, operation.id, operation.fencing, parts.now(), parameters=parameters
    )
    return replacement


def _put(parts: Parts, tenant: RegisteredTenant, replacement: Replacement, snapshot: str) -> Replacement:
    copy = snapshots.folder_of(parts.settings) / f".{snapshot}.{replacement.generation}.db"
    copy.unlink(missing_ok=True)
    try:
        heading = snapshots.read(parts.settings, snapshot, _key_of(parts, tenant), copy)
        ref = _label(parts, tenant, copy, heading.incarnation, replacement)
        failpoint("rollback.put.before")
        return put_copy(parts, tenant, replacement, ref.file)
    finally:
        for path in _files(copy):
            path.unlink(missing_ok=True)


def _label(
    parts: Parts, tenant: RegisteredTenant, copy: Path, incarnation: str, replacement: Replacement
) -> DatabaseRef:
    ref = DatabaseRef(path=copy, owner=tenant.id, incarnation=incarnation, generation=replacement.generation)
    return relabel(parts, ref, replacement.incarnation)


def _flip_and_finish(
    connection: Connection,
    tenant: RegisteredTenant,
    replacement: Replacement,
    now: int,
    operation: OperationRecord,
    *,
    steps: Steps,
    schema_version: str,
    grace_ms: int,
) -> None:
    flip(
        connection,
        tenant,
        replacement,
        now,
        schema_version=schema_version,
        operation=operation,
        grace_ms=grace_ms,
    )
    _finish(connection, operation, now, steps=steps)


def _finish(connection: Connection, operation: OperationRecord, now: int, *, steps: Steps) -> None:
    finish_operation(connection, operation.id, operation.fencing, now, steps=steps)


def _key_of(parts: Parts, tenant: RegisteredTenant) -> DataKey:
    if tenant.wrapped_key is None:
        raise Conflict("The tenant's data key is destroyed.", code="tenant_deleted")
    return parts.key.unwrap(tenant.id, tenant.wrapped_key)


def _files(copy: Path) -> Any:
    return copy.parent.glob(f"{copy.name}*")
