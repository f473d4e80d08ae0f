"""Converge all tenants that lag, in the background: claimed in batches, applied in a few threads, recorded in batches.

A tenant that is open in this process goes through its lane; the others are opened in a thread, four times as fast
as a lane each. Whatever dies here is found lagging again by the next worker.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from controlplane.directory import PlaceOf
from controlplane.registry.installation import remember_wanted
from controlplane.registry.ledger import (
    SyncRecord,
    Wanted,
    claim_lagging,
    record_failed,
    record_synced,
)
from controlplane.registry.tenants import RegisteredTenant
from core.catalog import Catalogue
from core.clock import Clock, now_ms
from core.database import Database, Databases
from core.errors import DatabaseUnavailable
from core.failpoints import failpoint
from core.tenants import Directory
from sync.apply import Applied, Outcome, apply, follow
from sync.catalogue import Desired, DesiredCatalogues, Follower, load_catalogue
from sync.transitions import Copies, Transitions

_log = structlog.get_logger(__name__)

BATCH = 256
THREADS = 8
"""More than there are cores: each waits for the disk most of the time."""

REMEMBERED = 32
CLAIM_MS = 15_000
FIRST_BACK_OFF_MS = 1_000
LONGEST_BACK_OFF_MS = 300_000


@dataclass(frozen=True, slots=True)
class Failed:
    tenant_id: str
    error: str


@dataclass(slots=True)
class Results:
    synced: list[SyncRecord] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    def add(self, other: "Results") -> None:
        self.synced += other.synced
        self.failed += other.failed


class Fleet:
    def __init__(
        self,
        registry: Database,
        databases: Databases,
        directory: Directory,
        desired: DesiredCatalogues,
        place_of: PlaceOf,
        clock: Clock,
        node: str,
    ) -> None:
        self._registry = registry
        self._databases = databases
        self._directory = directory
        self._desired = desired
        self._place_of = place_of
        self._clock = clock
        self._node = node
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fleet")
        self._pending = Results()
        self._known: OrderedDict[str, Copies] = OrderedDict()

    def note(self, tenant_id: str, applied: Applied) -> None:
        """What a request has applied: written with the next batch, not in the request."""
        self._pending.synced.append(synced(tenant_id, applied, now_ms(self._clock)))

    async def run(self) -> int:
        """Until nobody who may be tried now lags; answers how many tenants were looked at."""
        await self.flush()
        looked_at = 0
        while True:
            one = await self._directory.control_plane()
            offered = await one.database.snapshot(load_catalogue)
            self.remember(self._desired.for_tenant(offered, Follower("", "")))
            tenants = await self._claim((offered.incarnation, offered.version))
            if not tenants:
                return looked_at
            failpoint("sync.claimed")
            looked_at += len(tenants)
            await self._record(await self.converge(tenants, offered))

    async def flush(self) -> None:
        pending, self._pending = self._pending, Results()
        await self._record(pending)

    async def converge(
        self, tenants: Sequence[RegisteredTenant], offered: Catalogue, *, compare_rows: bool = False
    ) -> Results:
        """Apply to each, wherever it is open."""
        results = Results()
        transitions = None if compare_rows else Transitions(dict(self._known), now_ms(self._clock))
        closed: list[tuple[RegisteredTenant, Desired]] = []
        for tenant in tenants:
            desired = self._desired.for_tenant(offered, registered_follower(tenant))
            self.remember(desired)
            if self._is_open(tenant):
                results.add(await self._in_lane(tenant, desired, compare_rows))
            else:
                closed.append((tenant, desired))
        loop = asyncio.get_running_loop()
        shares = [closed[start::THREADS] for start in range(THREADS) if closed[start::THREADS]]
        parts = (loop.run_in_executor(self._threads, self._in_thread, share, transitions) for share in shares)
        for part in await asyncio.gather(*parts):
            results.add(part)
        return results

    async def compare_and_record(self, tenants: Sequence[RegisteredTenant], offered: Catalogue) -> None:
        await self._record(await self.converge(tenants, offered, compare_rows=True))

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _claim(self, wanted: Wanted) -> list[RegisteredTenant]:
        now = now_ms(self._clock)
        return await self._registry.write(
            claim_lagging, wanted, node=self._node, now=now, until=now + CLAIM_MS, limit=BATCH
        )

    def _is_open(self, tenant: RegisteredTenant) -> bool:
        """One to which nothing leads from here is not; the attempt to open it says why."""
        with suppress(DatabaseUnavailable):
            return self._databases.is_open(self._place_of(tenant))
        return False

    async def _in_lane(self, tenant: RegisteredTenant, desired: Desired, compare_rows: bool) -> Results:
        now = now_ms(self._clock)
        try:
            database = self._databases.open(self._place_of(tenant))
            applied = await database.alone(apply, desired, now=now, compare_rows=compare_rows, converge=True)
        except Exception as error:  # noqa: BLE001  (one bad tenant does not stop the others)
            return _failed(tenant.id, error)
        return _done(tenant.id, applied, now)

    def remember(self, desired: Desired) -> None:
        """For the next change: what this digest stands for."""
        if not self._desired.sharing.is_same_for_all:
            return  # every tenant has a digest of its own
        if desired.digest in self._known:
            self._known.move_to_end(desired.digest)
        elif (copies := Copies.of(desired.catalogue)) is not None:
            self._known[desired.digest] = copies
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _in_thread(
        self, share: Sequence[tuple[RegisteredTenant, Desired]], transitions: Transitions | None
    ) -> Results:
        results = Results()
        for tenant, desired in share:
            now = now_ms(self._clock)
            try:
                applied = self._converge_closed(tenant, desired, transitions, now)
                failpoint("sync.applied")
                results.add(_done(tenant.id, applied, now))
            except Exception as error:  # noqa: BLE001  (one bad tenant does not stop the others)
                results.add(_failed(tenant.id, error))
        return results

    def _converge_closed(
        self, tenant: RegisteredTenant, desired: Desired, transitions: Transitions | None, now: int
    ) -> Applied:
        """Without transitions the rows are compared."""
        ref = self._place_of(tenant)
        with self._databases.exclusively(ref, converge=True) as held:
            applied = None
            if transitions is not None and held.plain is not None:
                applied = follow(held.plain, desired, transitions)
            return applied or apply(held.connection, desired, now=now, compare_rows=transitions is None)

    async def _record(self, results: Results) -> None:
        if results.synced or results.failed:
            await self._registry.write(
                record,
                results,
                now=now_ms(self._clock),
                jitter=random.random(),  # noqa: S311
            )


def record(connection: Connection, results: Results, *, now: int, jitter: float) -> None:
    record_synced(connection, results.synced)
    for failed in results.failed:
        record_failed(
            connection,
            failed.tenant_id,
            now=now,
            error=failed.error,
            first=FIRST_BACK_OFF_MS,
            longest=LONGEST_BACK_OFF_MS,
            jitter=jitter,
        )
    if results.synced:
        newest = max(results.synced, key=lambda item: item.applied_version or 0)
        if newest.applied_incarnation is not None:
            remember_wanted(connection, newest.applied_incarnation, newest.applied_version or 0)


def synced(tenant_id: str, applied: Applied, now: int) -> SyncRecord:
    return SyncRecord(
        tenant_id=tenant_id,
        applied_incarnation=applied.incarnation,
        applied_version=applied.version,
        applied_digest=applied.digest,
        applied_at=now,
        last_attempt_at=now,
        conflicts=applied.conflicts,
        dangling=applied.dangling,
    )


def registered_follower(tenant: RegisteredTenant) -> Follower:
    return Follower(tenant.id, tenant.display_name, tenant.label_set)


def describe(error: BaseException) -> str:
    """For operators: what kind of fault, and its sentence. Values of rows are never part of it."""
    cause = error.__cause__
    detail = f" ({type(cause).__name__})" if cause is not None else ""
    text = getattr(error, "description", None) or "see the log"
    return f"{type(error).__name__}: {text}{detail}"


def _done(tenant_id: str, applied: Applied, now: int) -> Results:
    if applied.outcome is Outcome.OLDER:
        return Results()  # somebody with a newer catalogue was here, and records it
    return Results(synced=[synced(tenant_id, applied, now)])


def _failed(tenant_id: str, error: Exception) -> Results:
    _log.warning("converge_failed", tenant=tenant_id, where="background", exc_info=error)
    return Results(failed=[Failed(tenant_id, describe(error))])
