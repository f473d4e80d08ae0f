"""The tenant's log of events.

An event that belongs to a change is written in the change's own unit (`record`). Events of requests that write
nothing else are buffered per tenant and written together, so that a token costs no commit of its own; the buffer
is emptied every 50 ms, when it is full, and at shutdown.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Connection, insert

from core.clock import Clock, now_ms
from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.models import LogEvent

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.05
FULL_AT = 500
_INSERT = insert(LogEvent.__table__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One log event. `type` is Auth0's code: s, f, fp, fu, fcoc, seacft, feacft, seccft, feccft, sertft, fertft, ss,
    slo, sapi, fapi, ..."""

    type: str
    created_at: int
    id: str = field(default_factory=lambda: new_id("log"))
    description: str | None = None
    client_id: str | None = None
    client_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    organization_id: str | None = None
    connection: str | None = None
    audience: str | None = None
    scope: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def record(connection: Connection, *events: Event) -> None:
    """Write events in the unit of the change they tell of."""
    if events:
        connection.execute(_INSERT, [event.row() for event in events])


def _record_all(connection: Connection, events: Iterable[Event]) -> None:
    record(connection, *events)


class AuditLog:
    """The buffer for events that no unit of work carries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: dict[str, tuple[Tenant, list[Event]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._flushing: dict[asyncio.Task[None], str] = {}  # whose events it writes

    def now(self) -> int:
        return now_ms(self._clock)

    def add(self, tenant: Tenant, event: Event) -> None:
        pending = self._pending.get(tenant.id)
        if pending is None:
            self._pending[tenant.id] = (tenant, [event])
            loop = asyncio.get_running_loop()
            self._timers[tenant.id] = loop.call_later(FLUSH_SECONDS, self._start_flush, tenant.id)
            return
        pending[1].append(event)
        if len(pending[1]) >= FULL_AT:
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

    def _start_flush(self, tenant_id: str) -> None:
        timer = self._timers.pop(tenant_id, None)
        if timer is not None:
            timer.cancel()
        pending = self._pending.pop(tenant_id, None)
        if pending is None:
            return
        task = asyncio.create_task(self._write(*pending))
        self._flushing[task] = tenant_id
        task.add_done_callback(self._flushing.pop)

    async def _write(self, tenant: Tenant, events: list[Event]) -> None:
        try:
            await tenant.database.write(_record_all, events)
        except Exception:
            log.exception(
                "audit events were not written", tenant=tenant.id, events=[event.type for event in events]
            )
