"""The worker: a stretch of a job is a few seconds of its parts, one unit after another, with rests between them.

Logins of the same tenant go on in the rests: as long as the last part took, and a moment at least. At the end of a
stretch the job is handed on as the next delivery, so that several workers share several jobs, and a job whose worker
died is found as every delivery is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, TypeAlias

from core.clock import Clock, now_ms
from core.errors import Unavailable
from core.failpoints import failpoint
from core.tenants import Tenant
from tenant_runtime.deliveries import DeliveryFailed, Sender
from tenant_runtime.jobs import exports, imports, queue
from tenant_runtime.jobs.queue import Claimed, JobHeld, JobLost

AT_ONCE = 4
"""Jobs of one process that are being worked on."""

STRETCH_SECONDS = 5.0
LEAST_REST = 0.005

Part: TypeAlias = Callable[[Tenant, Claimed, int], Awaitable[Claimed | None]]
"""Does one part; answers the job as it stands after it, or None when it is over."""

PARTS: Mapping[str, Part] = {queue.IMPORT: imports.do_part, queue.EXPORT: exports.do_part}


def job_sender(clock: Clock, tell: Callable[[Tenant], None], stretch: float = STRETCH_SECONDS) -> Sender:
    """`tell`: something may have been put on its way to clients meanwhile."""

    async def send(tenant: Tenant, payload: Mapping[str, Any]) -> None:
        try:
            job = await tenant.database.write(queue.claim, payload["job"], now_ms(clock))
        except JobHeld:
            raise DeliveryFailed("another worker has it") from None
        if job is not None:
            await _work(tenant, job, clock, stretch)
            tell(tenant)

    return send


async def _work(tenant: Tenant, job: Claimed, clock: Clock, stretch: float) -> None:
    until = monotonic() + stretch
    held: Claimed | None = job
    try:
        while held is not None and monotonic() < until:
            began, job = monotonic(), held
            held = await PARTS[job.type](tenant, job, now_ms(clock))
            failpoint("jobs.part")
            await asyncio.sleep(max(LEAST_REST, monotonic() - began))
        if held is not None:
            await tenant.database.write(queue.let_go, tenant.data_key, held, now_ms(clock))
    except JobLost:
        return
    except Unavailable as error:
        await _released(tenant, job)
        raise DeliveryFailed(type(error).__name__) from error
    except Exception:
        await _released(tenant, job)
        raise


async def _released(tenant: Tenant, job: Claimed) -> None:
    """What cannot be said now, the lease's end says later."""
    try:
        await tenant.database.write(queue.release, job)
    except Unavailable:
        return
