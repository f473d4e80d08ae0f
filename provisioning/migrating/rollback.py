"""One tenant back to what it was before its migration: its snapshot is restored as a backup is, but keeps its schema.

What was written since is not in it, and what must not come back does not (`backups.outdated`). The tenant is held back
afterwards, until somebody has looked at it and releases it. The database that it leaves is kept for the hours of grace.
"""

import msgspec
from sqlalchemy import Connection

from controlplane.registry.operations import OperationRecord, insert_operation, refuse_while_replaced
from controlplane.registry.schema_states import hold_after_rollback, state_of
from controlplane.registry.tenants import SERVING, get_tenant, refuse_tenant_one
from core.errors import Conflict
from core.settings import Settings
from provisioning.backups import restoring
from provisioning.migrating.snapshots import folder_of

KIND = restoring.KIND
REASON = "rolled back"


def begin_rollback(
    connection: Connection, operation: OperationRecord, settings: Settings, now: int
) -> OperationRecord:
    """From here on no run and no request migrates the tenant."""
    tenant = get_tenant(connection, operation.tenant_id)
    refuse_tenant_one(tenant)
    if tenant.state not in SERVING:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    refuse_while_replaced(connection, tenant.id)
    state = state_of(connection, tenant.id)
    if state.snapshot is None:
        raise Conflict("There is no snapshot from before a migration.", code="no_snapshot")
    if state.snapshot_node != settings.node:
        raise Conflict(f"The snapshot is on the node {state.snapshot_node}.", code="no_snapshot")
    path = folder_of(settings) / state.snapshot
    if not path.exists():
        raise Conflict("The snapshot's time is over.", code="no_snapshot")
    parameters = {"file": str(path), "backup_id": state.snapshot, "keep_schema": True}
    operation = msgspec.structs.replace(operation, parameters=parameters)
    insert_operation(connection, operation)
    hold_after_rollback(connection, tenant.id, state.hold_reason or REASON, now)
    return operation
