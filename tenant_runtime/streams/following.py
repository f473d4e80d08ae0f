"""Following the tenants that have streams: one follower for each of them, a bounded number of sends per process.

    soon() ──> round: what is due? ──> changes: fan out, then `Deliveries.soon`
     ^              ^                └─> log streams: one pump each, batch after batch until nothing is left
     │              └── a commit of this process, a poll for those of others, the end of a back-off
     └── a stream was made or changed; a look over the fleet found one

A tenant without streams costs nothing: its commits ask one dictionary. What a dead process held is free when its lease
ends.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from sqlalchemy import Connection

from core.clock import Clock, now_ms
from core.errors import Unavailable
from core.failpoints import failpoint
from core.outbound import Outbound
from core.tenants import Tenant, TenantState
from tenant_runtime.audit import Event
from tenant_runtime.deliveries import Deliveries, DeliveryFailed
from tenant_runtime.deliveries.sending import BACK_OFF_SECONDS
from tenant_runtime.streams import changes, log_batches
from tenant_runtime.streams.log_batches import Batch, Claimed
from tenant_runtime.streams.sending import send_logs

_log = structlog.get_logger(__name__)

POLL_SECONDS = 5.0
"""Until what another process wrote is seen."""

GATHER_SECONDS = 0.2
"""After a commit: what comes together goes out together."""

AT_ONCE = 16
PER_TENANT = 4
"""Of those, so that no tenant's slow receivers take all of them."""

CLOSE_SECONDS = 5.0
KIND = "log_stream"

Find: TypeAlias = Callable[[str], Awaitable[Tenant | None]]
Observe: TypeAlias = Callable[[str, str], None]


@dataclass(slots=True)
class _Follower:
    tenant_id: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    pumps: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)  # by stream
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PER_TENANT))


class Streams:
    """One per process. `find` answers the tenant as it stands now; `observe` is told of each attempt: kind, outcome."""

    def __init__(
        self, clock: Clock, outbound: Outbound, deliveries: Deliveries, find: Find, observe: Observe
    ) -> None:
        self._clock = clock
        self._outbound = outbound
        self._deliveries = deliveries
        self._find = find
        self._observe = observe
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._followers: dict[str, _Follower] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._is_closing = False

    def touched(self, tenant_id: str) -> None:
        """After each commit, whatever it wrote."""
        follower = self._followers.get(tenant_id)
        if follower is not None:
            follower.woken.set()

    def soon(self, tenant_id: str) -> None:
        """A tenant that has streams, or had them."""
        follower = self._followers.get(tenant_id)
        if follower is not None:
            follower.woken.set()
        elif not self._is_closing:
            self._begin(tenant_id)

    async def close(self) -> None:
        """What is being sent is awaited for a moment; the rest is sent again when its lease has ended."""
        self._is_closing = True
        running = {*self._running.values()}
        for follower in self._followers.values():
            follower.woken.set()
            running.update(follower.pumps.values())
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    # --- one tenant ------------------------------------------------------------------------------------------

    def _begin(self, tenant_id: str) -> None:
        follower = self._followers[tenant_id] = _Follower(tenant_id)
        self._running[tenant_id] = asyncio.create_task(
            self._follow(follower),
            name=f"streams {tenant_id}",
            context=Context(),  # the log must not name the request that happened to come first
        )

    async def _follow(self, follower: _Follower) -> None:
        pause: float | None = 0.0
        while pause is not None and not self._is_closing:
            follower.woken.clear()
            pause = await self._safely(follower)
            if pause is not None:
                await self._wait(follower, pause)
        if follower.pumps:
            await asyncio.wait(list(follower.pumps.values()))
        del self._followers[follower.tenant_id], self._running[follower.tenant_id]
        if follower.woken.is_set() and not self._is_closing:
            self._begin(follower.tenant_id)

    async def _wait(self, follower: _Follower, pause: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(follower.woken.wait(), pause)
            if not self._is_closing:
                await asyncio.sleep(GATHER_SECONDS)

    async def _safely(self, follower: _Follower) -> float | None:
        try:
            return await self._round(follower)
        except Unavailable as error:
            _log.warning("streams_wait", tenant=follower.tenant_id, reason=type(error).__name__)
        except Exception:  # noqa: BLE001  (a follower outlives whatever one round met)
            _log.exception("streams_wait", tenant=follower.tenant_id)
        return POLL_SECONDS

    async def _round(self, follower: _Follower) -> float | None:
        """Answers the seconds to the next; None: nobody listens any more. A suspended tenant's streams wait."""
        tenant = await self._find(follower.tenant_id)
        if tenant is None:
            return None
        if tenant.state is not TenantState.ACTIVE:
            return POLL_SECONDS
        now = now_ms(self._clock)
        found, (listen, wait) = await tenant.database.read(_look, now)
        if wait:
            await self._fan_out(tenant)
        for id in found.ids:
            if id not in follower.pumps:
                self._pump(follower, tenant, id)
        if not found.are_any and not listen:
            return None
        if found.again_at is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.05, (found.again_at - now) / 1000))

    async def _fan_out(self, tenant: Tenant) -> None:
        while await tenant.database.write(changes.fan_out, tenant.data_key, now_ms(self._clock)):
            pass
        failpoint("streams.fanned_out")
        self._deliveries.soon(tenant)

    # --- one log stream --------------------------------------------------------------------------------------

    def _pump(self, follower: _Follower, tenant: Tenant, id: str) -> None:
        task = asyncio.create_task(self._send_all(follower, tenant, id))
        follower.pumps[id] = task

        def ended(done: "asyncio.Task[None]") -> None:
            del follower.pumps[id]
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.warning("log_stream_not_recorded", tenant=tenant.id, stream=id, exc_info=error)
            follower.woken.set()

        task.add_done_callback(ended)

    async def _send_all(self, follower: _Follower, tenant: Tenant, id: str) -> None:
        """Turns are taken before each batch: a stream that is far behind holds up nobody."""
        claimed: Claimed | None = await tenant.database.write(
            log_batches.claim, id, tenant.data_key, now_ms(self._clock)
        )
        if claimed is None:
            return
        place = claimed.position
        while not self._is_closing:
            async with follower.slots, self._slots:
                batch = await tenant.database.read(log_batches.next_batch, claimed.types, place)
                if batch.rows:
                    sent = await self._send(tenant, claimed, batch)
                    if sent is None:
                        return
                    batch = sent
                    kept = await self._advance(tenant, claimed, batch)
                    if kept is None:
                        return
                    claimed = kept
                place = batch.position
                if batch.is_last:
                    break
        await tenant.database.write(log_batches.settle, claimed, place)

    async def _send(self, tenant: Tenant, claimed: Claimed, batch: Batch) -> Batch | None:
        now = now_ms(self._clock)
        try:
            sent = await send_logs(self._outbound, tenant, claimed, batch, now)
        except DeliveryFailed as failed:
            await self._failed(tenant, claimed, failed)
            return None
        failpoint("streams.sent")
        self._observe(KIND, "delivered")
        return sent

    async def _advance(self, tenant: Tenant, claimed: Claimed, batch: Batch) -> Claimed | None:
        """None: the stream is somebody else's by now."""
        now = now_ms(self._clock)
        kept: Claimed | None = await tenant.database.write(
            log_batches.advance, claimed, batch.position, now, not batch.is_last
        )
        return None if batch.is_last else kept

    async def _failed(self, tenant: Tenant, claimed: Claimed, failed: DeliveryFailed) -> None:
        now, reason = now_ms(self._clock), failed.reason[:500]
        is_over = failed.is_final or claimed.attempts >= len(BACK_OFF_SECONDS)
        self._observe(KIND, "dead" if is_over else "failed")
        _log.warning(
            "log_stream_suspended" if is_over else "log_stream_failed",
            tenant=tenant.id,
            stream=claimed.id,
            attempt=claimed.attempts + 1,
            cause=reason,
        )
        if is_over:
            event = _given_up(claimed, reason, now)
            await tenant.database.write(log_batches.record_suspended, claimed, reason, now, event)
        else:
            due_at = now + _back_off_ms(claimed.attempts)
            await tenant.database.write(log_batches.record_retry, claimed, reason, due_at)


def _look(connection: Connection, now: int) -> tuple[log_batches.Due, tuple[bool, bool]]:
    return log_batches.due(connection, now), changes.are_any(connection)


def _back_off_ms(attempts: int) -> int:
    return int(BACK_OFF_SECONDS[attempts] * random.uniform(0.8, 1.2) * 1000)  # noqa: S311


def _given_up(claimed: Claimed, reason: str, now: int) -> Event:
    return Event(
        type="fn",
        created_at=now,
        description=f"The log stream was suspended: {reason}",
        details={"kind": KIND, "stream": claimed.id, "attempts": claimed.attempts + 1},
    )
