"""Sending in the background: one runner per tenant with something to send, a bounded number of sends per process.

    soon() ──> runner: claim what is due ──> send, outside of any unit ──> record ──> timer for the next
      ^                                                                                     │
      └─────────────────────────────────────────────────────────────────────────────────────┘

No timer for an idle tenant. What a dead process left is found by a sweep over the fleet, which calls `soon`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog

from core.clock import Clock, now_ms
from core.errors import Unavailable
from core.failpoints import failpoint
from core.tenants import Tenant, TenantState
from tenant_runtime.audit import Event
from tenant_runtime.deliveries.queue import (
    LEASE_MS,
    Claimed,
    claim,
    next_due,
    record_dead,
    record_delivered,
    record_retry,
)

_log = structlog.get_logger(__name__)

_MINUTE = 60.0
_HOUR = 3600.0
BACK_OFF_SECONDS = (5.0, 25.0, 2 * _MINUTE, 10 * _MINUTE, _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR)
"""About a day in all. Each is lengthened or shortened by up to a fifth, so that receivers that come back are not met
by everything at once."""

SEND_SECONDS = 30.0
PER_TENANT = 8
PER_PROCESS = 64
CLOSE_SECONDS = 5.0
NOTE_AGAIN_SECONDS = (0.2, 1.0, 5.0)
RETRY_SECONDS = 30.0
"""After the tenant's database was away."""

_DEAD_EVENTS = {"backchannel_logout": "oidc_backchannel_logout_failed"}
_DONE_EVENTS = {"backchannel_logout": "oidc_backchannel_logout_succeeded"}

Sender: TypeAlias = Callable[[Tenant, Mapping[str, Any]], Awaitable[None]]
Find: TypeAlias = Callable[[str], Awaitable[Tenant | None]]
Observe: TypeAlias = Callable[[str, str], None]


class DeliveryFailed(Exception):
    """It did not arrive. `reason` is for the row and the log: nothing of the payload. A final one is not repeated."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        self.reason = reason
        self.is_final = is_final
        super().__init__(reason)


@dataclass(slots=True)
class _Runner:
    tenant: Tenant
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    next_due: int | None = None
    sending: dict["asyncio.Task[None]", str] = field(default_factory=dict)  # to whom


def _nobody_counts(kind: str, outcome: str) -> None:
    """No metrics in this process."""


async def _no_tenant(tenant_id: str) -> Tenant | None:
    """Nobody to ask: what was not sent at once waits for the next `soon`."""


class Deliveries:
    """One per process. `senders` are known by kind; rows of a kind that this process does not know wait for one that
    does. `find` answers the tenant as it stands when a timer rings. `observe` is told each attempt's kind and outcome
    (delivered, failed, dead). No more than `at_once` are on their way."""

    def __init__(
        self,
        clock: Clock,
        senders: Mapping[str, Sender],
        find: Find = _no_tenant,
        observe: Observe = _nobody_counts,
        at_once: int = PER_PROCESS,
    ) -> None:
        self._clock = clock
        self._senders = dict(senders)
        self._find = find
        self._observe = observe
        self._slots = asyncio.Semaphore(at_once)
        self._runners: dict[str, _Runner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ringing: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def register(self, kind: str, sender: Sender) -> None:
        """A sender that is made of what itself has deliveries."""
        self._senders[kind] = sender

    def soon(self, tenant: Tenant) -> None:
        """After the commit of what was enqueued: starts sending, returns at once."""
        if self._is_closing or not self._senders:
            return
        runner = self._runners.get(tenant.id)
        if runner is not None:
            runner.woken.set()
            return
        runner = self._runners[tenant.id] = _Runner(tenant)
        self._running[tenant.id] = asyncio.create_task(
            self._run(runner),
            name=f"deliveries {tenant.id}",
            context=Context(),  # the log must not name the request that happened to come first
        )

    async def resume(self, tenant_id: str) -> None:
        """`soon` for what an earlier time left. By the id: the tenant may have been moved, suspended or deleted."""
        try:
            tenant = await self._find(tenant_id)
        except Unavailable:
            self._ring_in(tenant_id, RETRY_SECONDS)
            return
        if tenant is not None:
            self.soon(tenant)

    async def run_due(self, tenant: Tenant) -> None:
        """Send what is due now; returns when each of them was tried."""
        self.soon(tenant)
        while (running := self._running.get(tenant.id)) is not None:
            await asyncio.shield(running)

    async def close(self) -> None:
        """What is being sent is awaited for a moment; the rest is found again when its lease has ended."""
        self._is_closing = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for runner in self._runners.values():
            runner.woken.set()
        sending = [task for runner in self._runners.values() for task in runner.sending]
        running = {*self._running.values(), *self._ringing, *sending}
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    # --- one tenant ------------------------------------------------------------------------------------------

    async def _run(self, runner: _Runner) -> None:
        tenant, again = runner.tenant, None
        try:
            await self._send_due(runner)
            again = self._seconds_to(runner.next_due)
        except Unavailable as error:
            _log.warning("deliveries_wait", tenant=tenant.id, reason=type(error).__name__)
            again = RETRY_SECONDS
        except Exception:  # noqa: BLE001  (what waits outlives whatever one round met)
            _log.exception("deliveries_wait", tenant=tenant.id)
            again = RETRY_SECONDS
        finally:
            del self._runners[tenant.id], self._running[tenant.id]
        if runner.woken.is_set():
            self.soon(tenant)
        elif again is not None:
            self._ring_in(tenant.id, again)

    async def _send_due(self, runner: _Runner) -> None:
        """Until nothing is due and nothing is on its way. Each end of a send, and each `soon`, looks again."""
        while not self._is_closing:
            runner.woken.clear()
            for claimed in await self._claim(runner):
                task = asyncio.create_task(self._send(runner.tenant, claimed))
                runner.sending[task] = claimed.recipient
                task.add_done_callback(lambda done: self._sent(runner, done))
            if not runner.sending and not runner.woken.is_set():
                return
            await runner.woken.wait()
        if runner.sending:
            await asyncio.wait(list(runner.sending))

    async def _claim(self, runner: _Runner) -> Sequence[Claimed]:
        """As many as there are free slots; the first is waited for, in the order of those who wait, so that no more
        databases than slots are at work."""
        wanted = PER_TENANT - len(runner.sending)
        if wanted == 0:
            return ()
        taken = await self._take_slots(wanted)
        claimed: Sequence[Claimed] = ()
        try:
            claimed = await self._claim_due(runner, taken)
        finally:
            for _ in range(taken - len(claimed)):
                self._slots.release()
        failpoint("deliveries.claimed")
        return claimed

    async def _claim_due(self, runner: _Runner, limit: int) -> Sequence[Claimed]:
        """A suspended tenant's wait until it is resumed."""
        tenant, kinds, busy = runner.tenant, tuple(self._senders), tuple(runner.sending.values())
        if self._is_closing or tenant.state is not TenantState.ACTIVE:
            return ()
        now = now_ms(self._clock)
        runner.next_due = await tenant.database.read(next_due, kinds, now)
        if runner.next_due is None or runner.next_due > now:
            return ()
        return await tenant.database.write(claim, kinds, busy, now, now + LEASE_MS, limit)

    async def _take_slots(self, wanted: int) -> int:
        await self._slots.acquire()
        taken = 1
        while taken < wanted and not self._slots.locked():
            await self._slots.acquire()
            taken += 1
        return taken

    def _sent(self, runner: _Runner, done: "asyncio.Task[None]") -> None:
        self._slots.release()
        del runner.sending[done]
        runner.woken.set()
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.warning("delivery_not_recorded", tenant=runner.tenant.id, exc_info=error)

    # --- one delivery ----------------------------------------------------------------------------------------

    async def _send(self, tenant: Tenant, claimed: Claimed) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._senders[claimed.kind](tenant, claimed.open(tenant.data_key))
        except DeliveryFailed as failed:
            await self._failed(tenant, claimed, failed)
        except TimeoutError:
            await self._failed(tenant, claimed, DeliveryFailed("no answer in time"))
        except Exception as error:  # noqa: BLE001  (a sender's mistake is a failed attempt)
            _log.exception("delivery_broken", tenant=tenant.id, kind=claimed.kind, delivery=claimed.id)
            await self._failed(tenant, claimed, DeliveryFailed(type(error).__name__))
        else:
            failpoint("deliveries.sent")
            self._observe(claimed.kind, "delivered")
            now = now_ms(self._clock)
            await _surely(tenant.database.write, record_delivered, claimed, now, _done_event(claimed, now))

    async def _failed(self, tenant: Tenant, claimed: Claimed, failed: DeliveryFailed) -> None:
        now, reason = now_ms(self._clock), failed.reason[:500]
        is_dead = failed.is_final or claimed.attempts > len(BACK_OFF_SECONDS)
        self._observe(claimed.kind, "dead" if is_dead else "failed")
        _log.warning(
            "delivery_dead" if is_dead else "delivery_failed",
            tenant=tenant.id,
            kind=claimed.kind,
            delivery=claimed.id,
            attempt=claimed.attempts,
            cause=reason,
        )
        if is_dead:
            event = _dead_event(claimed, reason, now)
            await _surely(tenant.database.write, record_dead, claimed, reason, now, event)
        else:
            due_at = now + _back_off_ms(claimed.attempts)
            await _surely(tenant.database.write, record_retry, claimed, reason, due_at)

    # --- later -----------------------------------------------------------------------------------------------

    def _seconds_to(self, due: int | None) -> float | None:
        return None if due is None else max(0.05, (due - now_ms(self._clock)) / 1000)

    def _ring_in(self, tenant_id: str, seconds: float) -> None:
        if self._is_closing:
            return
        earlier = self._timers.pop(tenant_id, None)
        if earlier is not None:
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._timers[tenant_id] = loop.call_later(seconds, self._ring, tenant_id)

    def _ring(self, tenant_id: str) -> None:
        self._timers.pop(tenant_id, None)
        task = asyncio.create_task(self.resume(tenant_id))
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)


async def _surely(write: Callable[..., Awaitable[Any]], unit: Callable[..., Any], *args: Any) -> None:
    """What is not noted is sent again: a database that is away for a moment is worth another try. Each of these units
    may be run twice."""
    for pause in NOTE_AGAIN_SECONDS:
        try:
            await write(unit, *args)
        except Unavailable:
            await asyncio.sleep(pause)
        else:
            return
    await write(unit, *args)


def _back_off_ms(attempts: int) -> int:
    seconds = BACK_OFF_SECONDS[attempts - 1] * random.uniform(0.8, 1.2)  # noqa: S311
    return int(seconds * 1000)


def _done_event(claimed: Claimed, now: int) -> Event | None:
    type = _DONE_EVENTS.get(claimed.kind)
    if type is None:
        return None
    return Event(type=type, created_at=now, client_id=claimed.recipient, details={"delivery": claimed.id})


def _dead_event(claimed: Claimed, reason: str, now: int) -> Event:
    return Event(
        type=_DEAD_EVENTS.get(claimed.kind, "fn"),
        created_at=now,
        description=f"The delivery was given up: {reason}",
        client_id=claimed.recipient if claimed.kind == "backchannel_logout" else None,
        details={
            "delivery": claimed.id,
            "kind": claimed.kind,
            "recipient": claimed.recipient,
            "attempts": claimed.attempts,
        },
    )
