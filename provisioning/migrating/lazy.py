"""What a request meets whose tenant was not migrated yet.

One release behind, the tenant is migrated there and then, once for all requests that wait, for
`KEYSTEAD_PATIENCE_SECONDS`; then it is served as it is, because this code serves both. Further behind it cannot be
served before. While the first waves of a run are out, or something has failed that nobody has looked at, no request
migrates what could be served: that is what waves are for.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

import structlog

import migrations
from controlplane.registry.schema_states import claim_one, lazy_is_open
from core.errors import IdentityError, Unavailable
from core.tenants import Tenant
from provisioning.migrating.run import Migrations
from provisioning.migrating.tenant import migrate
from provisioning.parts import Parts
from sync.fleet import describe

_log = structlog.get_logger(__name__)

BACK_OFF_SECONDS = 1.0
FLIGHTS = 4
"""Tenants that requests migrate at once in one process: the others are served as they are meanwhile."""


class SchemaGate:
    def __init__(
        self, parts: Parts, migrations_of_fleet: Migrations, *, has_looked: Callable[[], bool]
    ) -> None:
        self._parts = parts
        self._migrations = migrations_of_fleet
        self._has_looked = has_looked
        self._head, self._previous = migrations.head("tenant"), migrations.previous("tenant")
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}

    async def refusal(self, tenant: Tenant) -> IdentityError | None:
        """None when the tenant may be served."""
        version = tenant.schema_version
        if version is None or version >= self._head:
            return None
        can_serve = version >= self._previous
        migrated = await self._bring_up(tenant, urgent=not can_serve)
        if can_serve or migrated:
            return None
        return Unavailable("This tenant is being upgraded.", retry_after=1)

    async def _bring_up(self, tenant: Tenant, *, urgent: bool) -> bool:
        """Whether it is at this version now."""
        if monotonic() < self._not_before.get(tenant.id, 0.0):
            return False
        flight = self._flights.get(tenant.id)
        if flight is None:
            if len(self._flights) >= FLIGHTS and not urgent:
                return False
            flight = asyncio.create_task(self._migrate(tenant.id, urgent=urgent))
            self._flights[tenant.id] = flight
            flight.add_done_callback(lambda _: self._flights.pop(tenant.id, None))
        done, _ = await asyncio.wait({flight}, timeout=self._parts.settings.patience_seconds)
        return bool(done) and tenant.id not in self._not_before

    async def _migrate(self, tenant_id: str, *, urgent: bool) -> None:
        try:
            done = await self._try(tenant_id, urgent=urgent)
        except Exception as error:  # noqa: BLE001  (the request goes on, with its tenant as it is)
            _log.warning("migration_failed", tenant=tenant_id, where="request", reason=describe(error))
            done = False
        if done:
            self._not_before.pop(tenant_id, None)
        else:
            self._not_before[tenant_id] = monotonic() + BACK_OFF_SECONDS

    async def _try(self, tenant_id: str, *, urgent: bool) -> bool:
        registry, parts = self._parts.registry, self._parts
        if not urgent and not await registry.read(lazy_is_open, self._head, self._has_looked()):
            return False
        hands = await self._migrations.hands()
        claim = await registry.write(claim_one, tenant_id, self._head, hands)
        if claim is None:
            return False
        done = await asyncio.to_thread(migrate, parts, claim, then="done")
        await self._migrations.record([done])
        return done.error is None
