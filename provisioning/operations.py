"""Run what is recorded: whoever claims an operation runs it from its first step, because every step may be repeated."""

from collections.abc import Awaitable, Callable

import structlog

from controlplane.registry.operations import (
    LEASE_MS,
    LeaseLost,
    OperationRecord,
    claim_operation,
    due_operations,
    lease_owners,
)
from controlplane.registry.tenants import RegisteredTenant, find_tenant
from provisioning.backups import orders, restoring
from provisioning.converge import Convergence
from provisioning.journal import GivenUp, Journal
from provisioning.moving import run as moving
from provisioning.parts import Parts
from provisioning.presence import is_dead
from provisioning.removal import remove
from sync.fleet import describe

_log = structlog.get_logger(__name__)


async def run_operation(
    parts: Parts, operation: OperationRecord, tenant: RegisteredTenant | None = None
) -> bool:
    """Run one that is claimed, for the tenant as its maker left it. Whatever stops it is written down, with the
    next attempt; answers whether it went through."""
    journal = Journal(parts, operation)
    log = _log.bind(tenant=operation.tenant_id, operation=operation.id, kind=operation.kind)
    try:
        await _run(parts, operation, journal, tenant)
    except LeaseLost:
        log.info("operation_taken_over")
        return False
    except GivenUp as given_up:
        cause = given_up.__cause__ or given_up
        log.warning(
            "operation_given_up",
            step=journal.current,
            attempt=operation.attempts,
            reason=describe(cause),
            exc_info=cause,
        )
        await _write_down(journal.given_up, cause)
        return False
    except Exception as error:
        log.warning(
            "operation_failed",
            step=journal.current,
            attempt=operation.attempts,
            reason=describe(error),
            exc_info=error,
        )
        await _write_down(journal.failed, error)
        return False
    return True


async def _run(
    parts: Parts, operation: OperationRecord, journal: Journal, tenant: RegisteredTenant | None
) -> None:
    tenant = tenant or await parts.registry.read(find_tenant, operation.tenant_id)
    if tenant is None:
        raise LeaseLost
    await _RUNNERS.get(operation.kind, _converge)(parts, tenant, journal)


async def _converge(parts: Parts, tenant: RegisteredTenant, journal: Journal) -> None:
    await Convergence(parts, tenant, journal).run()


_Runner = Callable[[Parts, RegisteredTenant, Journal], Awaitable[None]]
_RUNNERS: dict[str, _Runner] = {
    "delete": remove,
    orders.KIND: orders.take_backup,
    restoring.KIND: restoring.restore_backup,
    moving.KIND: moving.run_move,
}
"""By kind; every other one converges."""


async def _write_down(write: Callable[[BaseException], Awaitable[None]], error: BaseException) -> None:
    try:
        await write(error)
    except Exception as second:  # noqa: BLE001  (registry away or claimed by another: the lease ends by itself)
        _log.warning("operation_not_recorded", reason=describe(second))


async def claim(parts: Parts, operation_id: str, *, at_once: bool = False) -> OperationRecord | None:
    now = parts.now()
    return await parts.registry.write(
        claim_operation,
        operation_id,
        owner=parts.owner,
        now=now,
        until=now + LEASE_MS,
        dead=await dead_owners(parts),
        at_once=at_once,
    )


async def run_due(parts: Parts) -> int:
    """Everything that waits for a worker: left by a process that died, due for another attempt, or past its grace."""
    dead = await dead_owners(parts)
    done = 0
    for operation_id in await parts.registry.read(due_operations, parts.now(), parts.settings.node, dead):
        operation = await claim(parts, operation_id)
        if operation is not None:
            await run_operation(parts, operation)
            done += 1
    return done


async def dead_owners(parts: Parts) -> list[str]:
    owners = await parts.registry.read(lease_owners)
    return [owner for owner in owners if owner != parts.owner and is_dead(parts.settings, owner)]
