"""The buffer for events that no unit of work carries."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import structlog

from core.clock import Clock, now_ms
from core.errors import Unavailable
from core.tenants import Tenant
from tenant_runtime.audit.events import Event, record_all
from tenant_runtime.audit.retention import MOST, sweep_events

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.05
FULL_AT = 500
SPOOL = 5_000
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
SWEEP_EVERY = 500
SWEEP_AFTER_MS = 3_600_000


class AuditLog:
    """What could not be written (a full disk, a database that is away) waits in memory and is tried again, up to
    `SPOOL` events of a tenant; what does not fit, or still waits at shutdown, is lost, and an error in the
    process's own log says how many of which types.
    """

    def __init__(self, clock: Clock, longest_days: int | None = None) -> None:
        self._clock = clock
        self._longest_days = longest_days
        self._added: Counter[str] = Counter()  # since the last sweep, by tenant
        self._swept_at: dict[str, int] = {}
        self._pending: dict[str, _Pending] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._flushing: dict[asyncio.Task[None], str] = {}  # whose events it writes

    def now(self) -> int:
        return now_ms(self._clock)

    def add(self, tenant: Tenant, event: Event) -> None:
        pending = self._pending.get(tenant.id)
        if pending is None:
            self._pending[tenant.id] = _Pending(tenant, [event])
            self._flush_in(FLUSH_SECONDS, tenant.id)
            return
        pending.tenant = tenant
        pending.events.append(event)
        if pending.failures:
            self._drop_what_is_too_much(pending)
        elif len(pending.events) >= FULL_AT:
            self._start_flush(tenant.id)

    async def flush(self, tenant: Tenant | None = None) -> None:
        """Write what waits: of one tenant, for a reader of its log who must see their own events; of all at shutdown.
        Another tenant's database, away or busy, is nobody else's wait."""
        for tenant_id in list(self._pending) if tenant is None else [tenant.id]:
            self._start_flush(tenant_id)
        while running := [
            task for task, whose in self._flushing.items() if tenant is None or whose == tenant.id
        ]:
            await asyncio.wait(running)
            if tenant is not None:
                return

    async def close(self) -> None:
        """The last try; what it leaves is said to be lost."""
        await self.flush()
        for timer in self._timers.values():
            timer.cancel()
        for pending in self._pending.values():
            _say_lost(pending.tenant, pending.events)
        self._pending.clear()

    def _flush_in(self, seconds: float, tenant_id: str) -> None:
        loop = asyncio.get_running_loop()
        self._timers[tenant_id] = loop.call_later(seconds, self._start_flush, tenant_id)

    def _start_flush(self, tenant_id: str) -> None:
        timer = self._timers.pop(tenant_id, None)
        if timer is not None:
            timer.cancel()
        pending = self._pending.pop(tenant_id, None)
        if pending is None:
            return
        task = asyncio.create_task(self._write(pending))
        self._flushing[task] = tenant_id
        task.add_done_callback(self._flushing.pop)

    async def _write(self, pending: "_Pending") -> None:
        try:
            await pending.tenant.database.write(record_all, pending.events)
        except Unavailable as error:
            self._wait(pending, type(error).__name__)
        except Exception:
            log.exception("audit_events_refused", tenant=pending.tenant.id)
            _say_lost(pending.tenant, pending.events)
        else:
            await self._sweep(pending)

    async def _sweep(self, pending: "_Pending") -> None:
        """Those who add take away: at the first events that this process sees of a tenant, then now and then."""
        tenant, now = pending.tenant, self.now()
        self._added[tenant.id] += len(pending.events)
        added = self._added[tenant.id]
        if added < SWEEP_EVERY and abs(now - self._swept_at.get(tenant.id, 0)) < SWEEP_AFTER_MS:
            return
        most, self._added[tenant.id], self._swept_at[tenant.id] = max(MOST, 2 * added), 0, now
        try:
            await tenant.database.write(sweep_events, now, self._longest_days, most)
        except Unavailable as error:
            log.warning("audit_events_not_swept", tenant=tenant.id, reason=type(error).__name__)
        except Exception:
            log.exception("audit_events_not_swept", tenant=tenant.id)

    def _wait(self, pending: "_Pending", reason: str) -> None:
        """Before what came meanwhile: the first of a flood tell more than the last."""
        tenant_id, failures = pending.tenant.id, pending.failures + 1
        log.warning(
            "audit_events_wait", tenant=tenant_id, reason=reason, events=len(pending.events), attempt=failures
        )
        newer = self._pending.get(tenant_id)
        if newer is not None:
            pending = _Pending(newer.tenant, pending.events + newer.events)
        pending.failures = failures
        self._pending[tenant_id] = pending
        self._drop_what_is_too_much(pending)
        timer = self._timers.pop(tenant_id, None)
        if timer is not None:
            timer.cancel()
        self._flush_in(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - 1, 10)), tenant_id)

    def _drop_what_is_too_much(self, pending: "_Pending") -> None:
        if len(pending.events) > SPOOL:
            _say_lost(pending.tenant, pending.events[SPOOL:])
            del pending.events[SPOOL:]


@dataclass(slots=True)
class _Pending:
    tenant: Tenant
    events: list[Event]
    failures: int = 0


def _say_lost(tenant: Tenant, events: list[Event]) -> None:
    types = Counter(event.type for event in events)
    log.error("audit_events_lost", tenant=tenant.id, events=len(events), types=dict(types))
