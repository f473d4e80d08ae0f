"""The run over the fleet: claim some of the wave, do them in a few threads, write down what became of them, look
whether the wave is over. Whoever does this, a command or the servers, may be killed at any moment: the next one finds
every tenant at one version or the other, and goes on.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

import migrations
from controlplane.registry.migrations import (
    MigrationRun,
    advance,
    begin_run,
    candidates,
    failing_migrations,
    get_run,
    latest_run,
    resume_run,
    stop_run,
)
from controlplane.registry.operations import LEASE_MS, OperationRecord, new_operation
from controlplane.registry.schema_states import (
    Claim,
    Hands,
    claim_tenants,
    hold,
    lease_owners,
    record_results,
    release,
)
from controlplane.registry.tenants import SERVING, change_tenant, tenant_one
from core.errors import IdentityError, Unavailable
from core.failpoints import failpoint
from core.ids import new_id
from provisioning.migrating.rollback import KIND, begin_rollback
from provisioning.migrating.schema import ensure_schema
from provisioning.migrating.tenant import Done, look, migrate
from provisioning.migrating.waves import plan
from provisioning.operations import run_operation
from provisioning.parts import Parts
from provisioning.presence import is_dead
from sync.fleet import describe

_log = structlog.get_logger(__name__)

THREADS = 4
CAREFULLY = THREADS
AT_ONCE = 32
"""Tenants in the hands of one process: few while none may fail, so that few have failed when the run stops."""

OTHERS_SECONDS = 0.2
"""Between two looks while the rest of a wave is in other hands, or waits for its next attempt."""

REFUSALS = 10
"""How often in a row the registry may be busy or away before the worker gives up."""

Watch = Callable[[MigrationRun], object]


class Migrations:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="migrate")
        self.failing = 0
        """Tenants whose migration failed, as last seen."""

    @property
    def target(self) -> str:
        return migrations.head("tenant")

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def migrate_tenant_one(self) -> None:
        """Before anything is served: every tenant follows it, and its failure is the start's."""
        one = await self._parts.registry.read(tenant_one)
        if one is None or one.state not in SERVING or (one.schema_version or "") >= self.target:
            return
        await asyncio.to_thread(ensure_schema, self._parts, self._parts.ref(one))
        await self._parts.registry.write(change_tenant, one.id, self._parts.now(), schema_version=self.target)

    async def latest(self) -> MigrationRun | None:
        return await self._parts.registry.read(latest_run, self.target)

    async def start(self, *, actor: str | None = None) -> str | None:
        run = await self._parts.registry.write(
            begin_run, new_id("mig"), self.target, plan, self._parts.now(), actor=actor
        )
        if run is not None:
            _log.info("migration_begun", run=run.id, target=run.target, waves=list(run.waves))
        return run.id if run is not None else None

    async def planned(self) -> Mapping[str, Any]:
        waves = plan(await self._parts.registry.read(candidates, self.target))
        return {
            "target": self.target,
            "tenants": sum(map(len, waves)),
            "waves": [len(wave) for wave in waves],
        }

    async def resume(self, run_id: str, *, retry: bool) -> None:
        await self._parts.registry.write(resume_run, run_id, self._parts.now(), retry=retry)

    async def stop(self, run_id: str, reason: str) -> None:
        await self._parts.registry.write(stop_run, run_id, self._parts.now(), reason)

    async def hold(self, tenant_id: str, reason: str) -> None:
        await self._parts.registry.write(hold, tenant_id, reason, self._parts.now())

    async def release(self, tenant_id: str) -> None:
        await self._parts.registry.write(release, tenant_id, self._parts.now())

    async def roll_back(self, tenant_id: str) -> str:
        operation = await self._begin_rollback(tenant_id)
        await run_operation(self._parts, operation)
        return operation.id

    async def _begin_rollback(self, tenant_id: str) -> OperationRecord:
        parts, now = self._parts, self._parts.now()
        operation = new_operation(
            new_id("op"), tenant_id, KIND, now, lease_owner=parts.owner, lease_expires_at=now + LEASE_MS
        )
        return await parts.registry.write(begin_rollback, operation, parts.settings, now)

    async def note_failing(self) -> None:
        self.failing = await self._parts.registry.read(failing_migrations)

    async def work(self, run_id: str, watch: Watch = lambda _: None) -> MigrationRun:
        """Until the run is over or stopped."""
        run, refused = await self._parts.registry.read(get_run, run_id), 0
        while run.state == "running":
            watch(run)
            try:
                done = await self._some(run)
                run = await self._parts.registry.write(advance, run_id, self._parts.now())
            except Unavailable:  # the registry, for a moment: what was claimed is found again after its lease
                done, refused = 0, refused + 1
                if refused == REFUSALS:
                    raise
            else:
                refused = 0
            if not done and run.state == "running":
                await asyncio.sleep(OTHERS_SECONDS * (1 + refused))
        watch(run)
        await self.note_failing()
        _log.info("migration_ended", run=run.id, state=run.state, reason=run.reason)
        return run

    async def hands(self) -> Hands:
        parts = self._parts
        owners = await parts.registry.read(lease_owners)
        dead = [owner for owner in owners if owner != parts.owner and is_dead(parts.settings, owner)]
        return Hands(owner=parts.owner, node=parts.settings.node, now=parts.now(), dead=dead)

    async def record(self, done: Sequence[Done]) -> None:
        """First what became of them; then those that could not stand the look are put back."""
        lost = await self._parts.registry.write(
            record_results, [item.result for item in done], self._parts.now()
        )
        for item in done:
            if item.error is not None:
                values = item.result.values
                _log.warning(
                    "migration_failed",
                    tenant=item.result.tenant_id,
                    again=values["state"] != "failed",
                    reason=values["error"],
                    exc_info=item.error,
                )
            if item.put_back is not None and item.result.tenant_id not in lost:
                await self._put_back(item.put_back.id)

    async def _some(self, run: MigrationRun) -> int:
        limit = AT_ONCE if run.budget else CAREFULLY
        claims = await self._parts.registry.write(claim_tenants, run.id, await self.hands(), limit)
        if not claims:
            return 0
        failpoint("migrate.claimed")
        loop = asyncio.get_running_loop()
        done = await asyncio.gather(
            *(loop.run_in_executor(self._threads, _do, self._parts, claim) for claim in claims)
        )
        failpoint("migrate.record.before")
        await self.record(done)
        return len(claims)

    async def _put_back(self, tenant_id: str) -> None:
        try:
            await self.roll_back(tenant_id)
        except IdentityError as error:
            _log.warning("migration_not_rolled_back", tenant=tenant_id, reason=describe(error))


def _do(parts: Parts, claim: Claim) -> Done:
    return migrate(parts, claim) if claim.state == "pending" else look(parts, claim)
