"""One background task per process: it does what is left, and makes tenants follow.

Woken at once when tenant one's version moves, otherwise each second: a lost wake-up costs a second, never a change.
Operations and lagging tenants are claimed in the registry, so any number of workers share the work.
"""

import asyncio
from contextlib import suppress
from time import monotonic

import structlog

from controlplane.registry.failing import count_failing_operations
from controlplane.registry.installation import take_over_rules
from controlplane.registry.ledger import forget_claims, retry_failed
from controlplane.registry.nodes import others_are_alive
from controlplane.registry.tenants import (
    tenant_by_organization,
)
from controlplane.registry.worklists import tenants_after
from core.errors import IdentityError, Unavailable
from provisioning.operations import run_due
from provisioning.organization import managed_organizations, remove_organization
from provisioning.parts import Parts
from provisioning.presence import somebody_else_is_alive
from provisioning.registry_place import migrate_registry
from sync.catalogue import load_catalogue, load_wanted

_log = structlog.get_logger(__name__)

ROUND_SECONDS = 1.0
HEAD_START_SECONDS = 0.05
"""Between a write and its fan-out: requests that wait for it go first, and a burst of writes is one fan-out."""

SWEEP_SECONDS = 86_400.0
SWEEP_BATCH = 256
FORGET_SECONDS = 60.0
LOOK_SECONDS = 5.0


class Worker:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._woken = asyncio.Event()
        self._fan_out = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._operating: asyncio.Task[None] | None = None
        self._converged: tuple[str, int] | None = None
        self._recheck_at = 0.0
        self._sweep_at = monotonic() + SWEEP_SECONDS
        self._forget_at = 0.0
        self._look_at = 0.0
        self.failing = 0
        """Operations that did not go through, as last seen."""

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="worker")

    def wake(self) -> None:
        """A write to tenant one has been committed."""
        self._woken.set()

    async def close(self) -> None:
        for task in (self._task, self._operating):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        async with self._fan_out:
            with suppress(Unavailable):
                await self._parts.fleet.flush()

    async def catch_up(self) -> int:
        """Converge whoever lags and may be tried now; answers how many were looked at."""
        async with self._fan_out:
            return await self._parts.fleet.run()

    async def retry_all(self) -> None:
        """An operator asks: back-offs end."""
        await self._parts.registry.write(retry_failed)

    async def sweep(self) -> int:
        """Compare the rows of every tenant, whatever its stored digest says; answers how many were looked at."""
        one = await self._parts.tenant_one()
        offered = await one.snapshot(load_catalogue)
        last, looked_at = "", 0
        while tenants := await self._parts.registry.read(
            tenants_after, last, self._parts.settings.node, SWEEP_BATCH
        ):
            async with self._fan_out:
                await self._parts.fleet.compare_and_record(tenants, offered)
            last, looked_at = tenants[-1].id, looked_at + len(tenants)
        await self._remove_orphans()
        return looked_at

    async def _remove_orphans(self) -> None:
        """A creator that was stopped in its last step and woke up after its tenant was cancelled leaves one. The
        registry's row is always first, so an organization without a tenant never has one to come."""
        one = await self._parts.tenant_one()
        for organization_id in await one.read(managed_organizations):
            tenant = await self._parts.registry.read(tenant_by_organization, organization_id)
            if tenant is None or tenant.state == "deleted":
                _log.warning("organization_without_tenant", organization=organization_id)
                now = self._parts.now()
                await one.alone(remove_organization, organization_id, now=now, converge=True)

    async def _run(self) -> None:
        begun = False
        while True:
            try:
                if not begun:
                    await self._begin()
                    begun = True
                await self._round()
            except IdentityError as error:
                _log.warning("worker_round_failed", reason=type(error).__name__)
            except Exception:  # noqa: BLE001  (the worker outlives whatever one round met)
                _log.exception("worker_round_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._woken.wait()
                    await asyncio.sleep(HEAD_START_SECONDS)
            self._woken.clear()

    async def _begin(self) -> None:
        """Again until the registry is there."""
        await asyncio.to_thread(migrate_registry, self._parts.databases, self._parts.registry.ref)
        await self._parts.heart.beat()
        if await self._is_alone():
            await self._parts.registry.write(forget_claims, self._parts.now())
        await self.take_over_rules()

    async def take_over_rules(self) -> bool:
        return await self._parts.registry.write(take_over_rules, self._parts.desired.sharing.fingerprint())

    async def _is_alone(self) -> bool:
        parts = self._parts
        if somebody_else_is_alive(parts.settings, parts.owner):
            return False
        return not await parts.registry.read(others_are_alive, parts.settings.node, parts.now())

    async def _round(self) -> None:
        await self._parts.heart.beat()
        try:
            await self._follow()
        except IdentityError as error:  # tenant one may be what an operation is about to bring back
            _log.warning("worker_round_failed", step="follow", reason=type(error).__name__)
        if self._operating is None or self._operating.done():
            self._operating = asyncio.create_task(self._operate(), name="operations")
            await asyncio.wait({self._operating}, timeout=ROUND_SECONDS)
        if monotonic() >= self._forget_at:
            self._forget_at = monotonic() + FORGET_SECONDS
            await self._parts.directory.forget_destroyed()
        if monotonic() >= self._sweep_at:
            self._sweep_at = monotonic() + SWEEP_SECONDS
            await self.sweep()

    async def _operate(self) -> None:
        """Beside the rounds: a move may take minutes, and a change of the catalogue does not wait for it."""
        try:
            if await run_due(self._parts) or monotonic() >= self._look_at:
                self._look_at = monotonic() + LOOK_SECONDS
                self.failing = await self._parts.registry.read(count_failing_operations, self._parts.now())
        except IdentityError as error:
            _log.warning("worker_round_failed", step="operations", reason=type(error).__name__)
        except Exception:  # noqa: BLE001  (the worker outlives whatever one operation met)
            _log.exception("worker_round_failed", step="operations")

    async def _follow(self) -> None:
        """At once when the version moved; otherwise look now and then for tenants whose back-off is over."""
        one = await self._parts.tenant_one()
        wanted = await one.snapshot(load_wanted)
        if wanted == self._converged and monotonic() < self._recheck_at:
            await self._parts.fleet.flush()
            return
        await self.catch_up()
        self._converged, self._recheck_at = wanted, monotonic() + 5 * ROUND_SECONDS
