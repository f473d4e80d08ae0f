"""Looking for the records of domains again, although nobody asks for it: who let a domain go has no power over the
addresses in it.

    claimed for some hours ──> asked of the name servers ──> noted
                                                              ├─ it stands: again in about a month
                                                              ├─ it is gone: again in a day; the third time in a row
                                                              │  the domain is the organization's no more
                                                              └─ nobody knows: again when the claim has ended

What somebody said to be verified without a record is not looked for. Members stay members; nobody joins any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import Connection, Row, bindparam, or_, select, update

from core.clock import Clock, now_ms
from core.dns import NamesAway, NameServers
from core.errors import IdentityError
from core.tenants import Tenant, TenantState
from tenant_runtime.audit import Event
from tenant_runtime.models import OrganizationDomain
from tenant_runtime.organizations.domains.addresses import VERIFIED
from tenant_runtime.organizations.domains.names import place_of
from tenant_runtime.organizations.domains.proving import (
    LONGEST_WAIT_MS,
    LOST,
    MISSES,
    note_absence,
    note_presence,
    shows,
)
from tenant_runtime.organizations.domains.units import find_domain

_log = structlog.get_logger(__name__)

HELD_MS = 6 * 3_600_000
AT_ONCE = 16
"""Of one tenant; of many tenants one after the other."""

_d = OrganizationDomain.__table__.c
_DUE = (
    select(_d.id)
    .where(or_(_d.look_at <= bindparam("now"), _d.look_at > bindparam("latest")), _d.status == VERIFIED)
    .order_by(_d.look_at, _d.id)
    .limit(AT_ONCE)
)
_CLAIM = (
    update(OrganizationDomain.__table__)
    .where(_d.id.in_(_DUE))
    .values(look_at=bindparam("until"))
    .returning(_d.id, _d.organization_id, _d.domain)
)

_AT_ONCE = (
    update(OrganizationDomain.__table__)
    .where(_d.status == VERIFIED, _d.look_at.is_not(None))
    .values(look_at=bindparam("now"), misses=MISSES - 1)
)

Find = Callable[[str], Awaitable[Tenant | None]]


def claim_due(connection: Connection, now: int) -> Sequence[Row[Any]]:
    """No other process looks for the same ones meanwhile. What is to be looked for later than it can be was written
    while the clock was ahead."""
    times = {"now": now, "latest": now + LONGEST_WAIT_MS, "until": now + HELD_MS}
    return connection.execute(_CLAIM, times).all()


def look_at_once(connection: Connection, now: int) -> None:
    """In a database that was put back as it was: a domain that was let go since is lost by the first look."""
    connection.execute(_AT_ONCE, {"now": now})


def note_look(connection: Connection, organization_id: str, id: str, texts: frozenset[str], now: int) -> None:
    """Of a domain as it is by now."""
    row = find_domain(connection, organization_id, id)
    if row is None or row.status != VERIFIED:
        return
    if shows(texts, row):
        note_presence(connection, row, now)
    else:
        note_absence(connection, row, Event(type=LOST, created_at=now))


class Rechecks:
    """One per process: the tenants in which a look is due, in the order in which they were named."""

    def __init__(self, names: NameServers, clock: Clock, find: Find) -> None:
        self._names = names
        self._clock = clock
        self._find = find
        self._waiting: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def soon(self, tenant_id: str) -> None:
        self._waiting[tenant_id] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="domains")

    async def done(self) -> None:
        """Returns when every tenant that was named has been looked into."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while self._waiting:
            tenant_id = next(iter(self._waiting))
            del self._waiting[tenant_id]
            try:
                await self._look_into(tenant_id)
            except IdentityError as error:
                _log.warning("domains_not_looked_for", tenant=tenant_id, reason=type(error).__name__)
            except Exception:  # noqa: BLE001  (one bad tenant does not keep the others)
                _log.exception("domains_not_looked_for", tenant=tenant_id)

    async def _look_into(self, tenant_id: str) -> None:
        tenant = await self._find(tenant_id)
        if tenant is None or tenant.state is not TenantState.ACTIVE:
            return
        while due := await tenant.database.write(claim_due, now_ms(self._clock)):
            await asyncio.gather(*(self._look(tenant, row) for row in due))

    async def _look(self, tenant: Tenant, claimed: Row[Any]) -> None:
        try:
            texts = await self._names.texts(place_of(claimed.domain))
            now = now_ms(self._clock)
            await tenant.database.write(note_look, claimed.organization_id, claimed.id, texts, now)
        except (NamesAway, IdentityError) as error:
            reason = type(error).__name__
            _log.info("domain_not_looked_for", tenant=tenant.id, domain=claimed.id, reason=reason)
