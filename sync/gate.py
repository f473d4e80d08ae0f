"""What a tenant's request asks first: does this tenant hold the present catalogue?

In memory that is two integers compared. A tenant that lags is converged there and then, once for all requests that
wait; once it is known to lag, they wait `KEYSTEAD_PATIENCE_SECONDS` at most. Whoever asks then decides what a stale
tenant may still answer (`DESIGN.md` section 3: keys, metadata and logout yes, tokens and `/api/v2` no). A conflict is
not lag, and with tenant one out of reach a tenant serves what it holds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

import structlog

from core.clock import Clock, now_ms
from core.errors import IdentityError, Unavailable
from core.tenants import Directory, Tenant
from sync.apply import Applied, Outcome, apply, read_applied
from sync.catalogue import DesiredCatalogues, Follower, load_catalogue, load_wanted

_log = structlog.get_logger(__name__)

LOOKS = 8
"""Times its patience that a request waits to find out whether its tenant lags: databases may have to be opened, which
is not to be taken for lag."""

BACK_OFF_SECONDS = 1.0
REMEMBERED = 20_000

Wanted = tuple[str, int]


class Freshness(StrEnum):
    FRESH = "fresh"
    STALE = "stale"  # a newer catalogue is known, and could not be applied


@dataclass(frozen=True, slots=True)
class _Flight:
    """One converge for all requests of a tenant that wait. `looked` is done when it is known whether it lags."""

    looked: "asyncio.Future[None]"
    task: "asyncio.Task[bool]"


class CatalogueGate:
    def __init__(
        self,
        directory: Directory,
        desired: DesiredCatalogues,
        clock: Clock,
        *,
        patience: float,
        on_wanted: Callable[[Wanted], None] = lambda _: None,
        on_applied: Callable[[Tenant, Applied], None] = lambda *_: None,
    ) -> None:
        self._directory = directory
        self._desired = desired
        self._clock = clock
        self._patience = patience
        self._on_wanted = on_wanted
        self._on_applied = on_applied
        self._wanted: Wanted | None = None
        self._seen: dict[str, tuple[Wanted, int]] = {}
        self._flights: dict[str, _Flight] = {}
        self._not_before: dict[str, float] = {}

    async def ensure(self, tenant: Tenant) -> Freshness:
        if tenant.is_control_plane:
            return Freshness.FRESH
        wanted = await self._present()
        if wanted is None:
            return Freshness.FRESH
        seen = self._seen.get(tenant.incarnation)
        if seen is not None and seen[0] == wanted and seen[1] == tenant.database.ref.generation:
            return Freshness.FRESH
        return await self._catch_up(tenant)

    def forget(self, incarnation: str) -> None:
        """Its database was replaced, or its labels changed: look again."""
        self._seen.pop(incarnation, None)

    async def _present(self) -> Wanted | None:
        """What tenant one has now; None when it cannot be read."""
        try:
            one = await self._directory.control_plane()
            wanted = await one.database.snapshot(load_wanted)
        except Unavailable:
            return None
        if wanted != self._wanted:
            self._wanted = wanted
            self._on_wanted(wanted)
        return wanted

    async def _catch_up(self, tenant: Tenant) -> Freshness:
        if monotonic() < self._not_before.get(tenant.incarnation, 0.0):
            return Freshness.STALE
        flight = self._flights.get(tenant.incarnation) or self._take_off(tenant)
        looked, _ = await asyncio.wait({flight.looked}, timeout=LOOKS * self._patience)
        if looked:
            await asyncio.wait({flight.task}, timeout=self._patience)
        return Freshness.FRESH if flight.task.done() and flight.task.result() else Freshness.STALE

    def _take_off(self, tenant: Tenant) -> _Flight:
        looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        flight = _Flight(looked, asyncio.create_task(self._converge(tenant, looked)))
        self._flights[tenant.incarnation] = flight
        flight.task.add_done_callback(lambda _: self._flights.pop(tenant.incarnation, None))
        return flight

    async def _converge(self, tenant: Tenant, looked: "asyncio.Future[None]") -> bool:
        try:
            return await self._bring_up(tenant, looked)
        except IdentityError as error:
            reason = type(error).__name__
        except Exception:  # noqa: BLE001  (the request goes on, with what its tenant holds)
            _log.exception("converge_failed", tenant=tenant.id, where="request")
            reason = "unexpected"
        finally:
            if not looked.done():
                looked.set_result(None)
        _log.warning("converge_failed", tenant=tenant.id, where="request", reason=reason)
        self._not_before[tenant.incarnation] = monotonic() + BACK_OFF_SECONDS
        return False

    async def _bring_up(self, tenant: Tenant, looked: "asyncio.Future[None]") -> bool:
        applied = await tenant.database.read(read_applied)
        wanted = await self._present()
        if wanted is None:
            return True
        if not applied.holds(wanted):
            looked.set_result(None)
            applied = await self._apply(tenant)
        if applied.incarnation is not None and applied.version is not None:
            self._remember(tenant, (applied.incarnation, applied.version))
        return True

    async def _apply(self, tenant: Tenant) -> Applied:
        one = await self._directory.control_plane()
        offered = await one.database.snapshot(load_catalogue)
        desired = self._desired.for_tenant(offered, follower(tenant))
        applied = await tenant.database.alone(apply, desired, now=now_ms(self._clock), converge=True)
        if applied.outcome is not Outcome.OLDER:
            self._on_applied(tenant, applied)
        return applied

    def _remember(self, tenant: Tenant, wanted: Wanted) -> None:
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[tenant.incarnation] = (wanted, tenant.database.ref.generation)
        self._not_before.pop(tenant.incarnation, None)


def follower(tenant: Tenant) -> Follower:
    return Follower(tenant.id, tenant.display_name, tenant.labels)
