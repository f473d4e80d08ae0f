"""What the platform API may do to tenants (`core.tenants.TenantLifecycle`).

Each call records what is wanted in one transaction of the registry, then does it; what does not fit into the time
limit of a request goes on behind it, and what dies is resumed by a worker.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection

from controlplane.idempotency import settled
from controlplane.registry.hosts import resolve
from controlplane.registry.idempotency_keys import claim_key, find_answer
from controlplane.registry.ledger import SyncRecord, count_lagging, sync_record
from controlplane.registry.operations import (
    LEASE_MS,
    OperationRecord,
    cancel_operations,
    insert_operation,
    latest_operation,
    new_operation,
    refuse_while_replaced,
    unfinished_operation,
)
from controlplane.registry.tenants import (
    SERVING,
    RegisteredTenant,
    change_tenant,
    find_tenant,
    get_tenant,
    insert_tenant,
    refuse_more,
    refuse_tenant_one,
    resume,
    suspend,
    tenant_exists,
    tenant_removed,
    valid_tenant_id,
)
from core.crypto.sealing import new_data_key
from core.errors import Conflict, InvalidInput, NotFound, Unavailable
from core.ids import new_id
from core.tenants import NewTenant, RequestKey, TenantState
from provisioning.backends import Backend
from provisioning.converge import desired_for, ensure_organization
from provisioning.journal import running
from provisioning.operations import claim, run_operation
from provisioning.organization import refuse_taken_name
from provisioning.parts import Parts
from provisioning.places import seal_credentials
from provisioning.worker import Worker
from sync.catalogue import load_wanted
from sync.drift import Drift, compare
from tenant_runtime.streams.changes import RESUMED, SUSPENDED, record_of_tenant

_log = structlog.get_logger(__name__)

DAY_MS = 86_400_000


class Lifecycle:
    def __init__(self, parts: Parts, worker: Worker) -> None:
        self._parts = parts
        self._worker = worker
        self._running: set[asyncio.Task[bool]] = set()

    async def create(self, new: NewTenant) -> str:
        self._check_id(new.id)
        parts, now = self._parts, self._parts.now()
        backend = parts.backend(new.backend or parts.settings.default_backend)
        tenant = new_tenant(parts, new, backend, now=now)
        await (await parts.tenant_one()).read(refuse_taken_name, new.id)
        operation = new_operation(
            new_id("op"),
            new.id,
            "create",
            now,
            actor=new.creator_user_id,
            parameters={"add_creator": new.add_creator},
            lease_owner=parts.owner,
            lease_expires_at=now + LEASE_MS,
            steps=(running("database", now),),
        )
        await parts.registry.write(begin, tenant, operation, new.request_key, most=new.most_of_creator)
        await self._within_limit(operation, tenant)
        return operation.id

    async def has_made(self, key: RequestKey, tenant_id: str) -> bool:
        parts = self._parts
        if await parts.registry.read(find_answer, key, parts.now()) is None:
            return False
        tenant = await settled(parts.registry, tenant_id, parts.settings.converge_seconds)
        if tenant.state in (TenantState.DELETING, TenantState.DELETED):
            raise tenant_removed()
        return True

    async def refuse_id(self, tenant_id: str) -> None:
        self._check_id(tenant_id)
        if await self._parts.registry.read(find_tenant, tenant_id) is not None:
            raise tenant_exists()
        await (await self._parts.tenant_one()).read(refuse_taken_name, tenant_id)

    async def delete(self, tenant_id: str) -> str:
        now = self._parts.now()
        grace = int(self._parts.settings.deletion_grace_days * DAY_MS)
        own = self._own("delete", tenant_id)
        operation = await self._parts.registry.write(
            begin_deletion, tenant_id, own, now, purge_after=now + grace
        )
        if operation.id == own.id:
            await self._within_limit(operation)
        return operation.id

    async def suspend(self, tenant_id: str) -> None:
        tenant = await self._parts.registry.write(suspend, tenant_id, self._parts.now())
        await self._tell(SUSPENDED, tenant)

    async def resume(self, tenant_id: str) -> None:
        tenant = await self._parts.registry.write(resume, tenant_id, self._parts.now())
        await self._tell(RESUMED, tenant)

    async def _tell(self, type: str, tenant: RegisteredTenant) -> None:
        """Webhooks of tenant one, after the registry's commit. It is done whether or not they can be told."""
        if tenant.organization_id is None:
            return
        try:
            one = await self._parts.tenant_one()
            await one.write(record_of_tenant, type, tenant.organization_id, self._parts.now())
        except Unavailable as error:
            reason = error.__class__.__name__
            _log.warning("tenant_change_not_told", tenant=tenant.id, type=type, reason=reason)

    async def restore(self, tenant_id: str) -> str:
        operation = await self._parts.registry.write(
            begin_restore, tenant_id, self._own("restore", tenant_id), self._parts.now()
        )
        await self._within_limit(operation)
        return operation.id

    async def retry(self, tenant_id: str) -> str:
        """Run now what waits for its next attempt; a tenant with nothing unfinished is converged."""
        await self._parts.registry.read(get_tenant, tenant_id)
        waiting = await self._parts.registry.read(unfinished_operation, tenant_id)
        if waiting is None:
            return await self._converge_now(tenant_id)
        operation = await claim(self._parts, waiting.id, at_once=waiting.kind != "delete")
        if operation is not None:
            await self._within_limit(operation)
        return waiting.id

    async def change(self, tenant_id: str, changes: Mapping[str, Any]) -> None:
        operation = await self._parts.registry.write(
            begin_change, tenant_id, changes, self._own("converge", tenant_id), self._parts.now()
        )
        if operation is not None:
            await self._within_limit(operation)

    async def rename(self, tenant_id: str, display_name: str) -> None:
        tenant = await self._parts.registry.read(get_tenant, tenant_id)
        if tenant.display_name != display_name:
            tenant = await self._parts.registry.write(
                change_tenant, tenant_id, self._parts.now(), display_name=display_name
            )
        created = await self._parts.registry.read(latest_operation, tenant_id, "create")
        if created is not None and tenant.state in SERVING:
            await ensure_organization(self._parts, tenant, created)
        if not self._parts.desired.sharing.is_same_for_all and tenant.state in SERVING:
            await self._converge_now(tenant_id)  # settings may be rendered from the name

    async def converge(self, tenant_id: str, *, dry_run: bool = False) -> Mapping[str, Any]:
        if dry_run:
            return {"dry_run": True, **await self.drift(tenant_id)}
        operation_id = await self._converge_now(tenant_id)
        record = await self._parts.registry.read(sync_record, tenant_id)
        return {
            "dry_run": False,
            "operation_id": operation_id,
            "sync": msgspec.to_builtins(record or SyncRecord(tenant_id=tenant_id)),
        }

    async def converge_all(self, *, dry_run: bool = False) -> Mapping[str, Any]:
        if not dry_run:
            await self._worker.retry_all()
            lagging = await self.wait_synced()
        else:
            lagging = await self._lagging()
        return {"dry_run": dry_run, "lagging": lagging}

    async def drift(self, tenant_id: str) -> Mapping[str, Any]:
        return msgspec.to_builtins(await self._compare(tenant_id))

    async def wait_synced(self) -> int:
        run = asyncio.create_task(self._worker.catch_up())
        await asyncio.wait({run}, timeout=self._parts.settings.converge_seconds)
        return await self._lagging()

    async def run(self, operation: OperationRecord) -> None:
        """One that was begun elsewhere: as long as a request waits, then behind it."""
        await self._within_limit(operation)

    async def close(self) -> None:
        """What runs is finished by a worker of the next life if it does not end soon."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=5.0)
            for task in late:
                task.cancel()

    # --- inside ----------------------------------------------------------------------------------------------

    def _check_id(self, tenant_id: str) -> None:
        if not valid_tenant_id(tenant_id):
            raise InvalidInput(
                "A tenant's id is 1 to 63 lower-case letters, digits and hyphens, and begins and ends with a letter"
                " or digit.",
                code="invalid_tenant_id",
            )
        if tenant_id[2:4] == "--":
            raise InvalidInput(
                "A tenant's id has no -- as its third and fourth character: such a host name is written, and shown, in"
                " another script (RFC 5891 section 4.2.3.1).",
                code="invalid_tenant_id",
            )
        if self._parts.settings.is_reserved(tenant_id):
            raise InvalidInput("This tenant id is reserved.", code="reserved_tenant_id")

    def _own(self, kind: str, tenant_id: str) -> OperationRecord:
        now = self._parts.now()
        return new_operation(
            new_id("op"), tenant_id, kind, now, lease_owner=self._parts.owner, lease_expires_at=now + LEASE_MS
        )

    async def _converge_now(self, tenant_id: str) -> str:
        operation = await self._parts.registry.write(
            begin_convergence, tenant_id, self._own("converge", tenant_id)
        )
        await self._within_limit(operation)
        return operation.id

    async def _within_limit(self, operation: OperationRecord, tenant: RegisteredTenant | None = None) -> None:
        """The request waits this long; the task goes on."""
        task = asyncio.create_task(run_operation(self._parts, operation, tenant))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait({task}, timeout=self._parts.settings.converge_seconds)

    async def _compare(self, tenant_id: str) -> Drift:
        resolved = await self._parts.registry.read(resolve, tenant_id)
        if resolved is None or resolved.tenant.state not in SERVING or resolved.tenant.is_control_plane:
            raise NotFound("tenant")
        desired = await desired_for(self._parts, resolved.tenant)
        database = self._parts.databases.open(self._parts.ref(resolved.tenant))
        return await database.read(compare, desired)

    async def _lagging(self) -> int:
        one = await self._parts.tenant_one()
        return await self._parts.registry.read(count_lagging, await one.snapshot(load_wanted))


def new_tenant(
    parts: Parts,
    new: NewTenant,
    backend: Backend,
    *,
    now: int,
    organization: bool = True,
    is_control_plane: bool = False,
) -> RegisteredTenant:
    """Everything that identifies it is chosen here, before anything of it exists."""
    place = backend.place(new.id, 1, new.region)
    return RegisteredTenant(
        id=new.id,
        display_name=new.display_name,
        state="provisioning",
        is_control_plane=is_control_plane,
        backend=backend.name,
        region=new.region,
        labels=tuple(sorted(new.labels)),
        limits={},
        organization_id=new_id("org") if organization else None,
        creator_user_id=new.creator_user_id,
        incarnation=new_id("inc"),
        generation=1,
        location=place.location,
        credentials=seal_credentials(parts.key, new.id, place),
        node=parts.node_of(backend),
        wrapped_key=parts.key.wrap(new.id, new_data_key()),
        schema_version=None,
        error=None,
        state_before_delete=None,
        created_at=now,
        updated_at=now,
        activated_at=None,
        suspended_at=None,
        deleted_at=None,
        purge_after=None,
    )


def begin(
    connection: Connection,
    tenant: RegisteredTenant,
    operation: OperationRecord,
    key: RequestKey | None = None,
    *,
    most: int | None = None,
) -> None:
    """The request's key in the same transaction: sent again, it never makes a second tenant. `most`: of one creator."""
    if key is not None:
        claim_key(connection, key, tenant.created_at)
    if most is not None:
        refuse_more(connection, tenant.creator_user_id, most)
    insert_tenant(connection, tenant)
    insert_operation(connection, operation)


def begin_deletion(
    connection: Connection, tenant_id: str, operation: OperationRecord, now: int, *, purge_after: int
) -> OperationRecord:
    """From this commit on nobody signs in. Asked twice, the first deletion is answered."""
    tenant = get_tenant(connection, tenant_id)
    refuse_tenant_one(tenant)
    if tenant.state == "deleted":
        raise NotFound("tenant")
    if tenant.state == "deleting":
        running = unfinished_operation(connection, tenant_id)
        if running is not None:
            return running
    refuse_while_replaced(connection, tenant_id, kinds=("move", "restore_backup"))
    cancel_operations(connection, tenant_id, now, kinds=("create", "converge", "restore", "backup"))
    never_served = tenant.activated_at is None
    operation = msgspec.structs.replace(operation, parameters={"cancel": True} if never_served else {})
    insert_operation(connection, operation)
    before = tenant.state_before_delete or ("suspended" if tenant.state == "suspended" else "active")
    change_tenant(
        connection,
        tenant_id,
        now,
        state="deleting",
        state_before_delete=None if never_served else before,
        purge_after=None if never_served else purge_after,
    )
    return operation


def begin_restore(
    connection: Connection, tenant_id: str, operation: OperationRecord, now: int
) -> OperationRecord:
    tenant = get_tenant(connection, tenant_id)
    if tenant.state != "deleting" or tenant.wrapped_key is None or tenant.activated_at is None:
        raise Conflict("The tenant is not waiting to be destroyed.", code="invalid_tenant_state")
    deletion = latest_operation(connection, tenant_id, "delete")
    cancel_operations(connection, tenant_id, now, kinds=("delete",))
    noted = deletion.parameters if deletion is not None else {}
    kept = {name: noted[name] for name in ("members", "rules") if name in noted}
    parameters = kept if "members" in kept else {"add_creator": False}
    operation = msgspec.structs.replace(operation, parameters=parameters)
    insert_operation(connection, operation)
    change_tenant(connection, tenant_id, now, state="provisioning", purge_after=None)
    return operation


def begin_change(
    connection: Connection, tenant_id: str, changes: Mapping[str, Any], operation: OperationRecord, now: int
) -> OperationRecord | None:
    """The change and the operation that makes the tenant follow it, in one transaction; None when nothing follows."""
    tenant = get_tenant(connection, tenant_id)
    follows = not tenant.is_control_plane and not changes.keys().isdisjoint(("display_name", "labels"))
    if follows and tenant.state not in SERVING:
        unfinished = unfinished_operation(connection, tenant_id)
        if unfinished is not None and unfinished.state == "running":
            raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
        follows = False
    change_tenant(connection, tenant_id, now, **changes)
    return begin_convergence(connection, tenant_id, operation) if follows else None


def begin_convergence(connection: Connection, tenant_id: str, operation: OperationRecord) -> OperationRecord:
    tenant = get_tenant(connection, tenant_id)
    if tenant.state not in SERVING or tenant.is_control_plane:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    created = latest_operation(connection, tenant_id, "create")
    asked = created is not None and created.parameters.get("add_creator", True) and not created.creator_added
    operation = msgspec.structs.replace(operation, parameters={"add_creator": bool(asked)})
    insert_operation(connection, operation)
    return operation
