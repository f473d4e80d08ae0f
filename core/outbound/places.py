"""How many calls may be under way: in all, to one host, and for one tenant, so that who is slow takes no place from
others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.outbound.answers import OutboundFailed


@dataclass(slots=True)
class _Host:
    free: asyncio.Semaphore
    callers: int = 0


class Places:
    def __init__(self, *, in_all: int, per_host: int, per_tenant: int) -> None:
        self._free = asyncio.Semaphore(in_all)
        self._per_host = per_host
        self._per_tenant = per_tenant
        self._hosts: dict[str, _Host] = {}
        self._tenants: Counter[str] = Counter()

    @asynccontextmanager
    async def taken(self, host: str, tenant: str) -> AsyncIterator[None]:
        """Waits for a place at the host first: who waits there holds no other place. Nobody waits for a place of their
        tenant, as they would hold one at the host: raises `OutboundFailed` where there is none. A call for no tenant
        (`""`) needs none."""
        place = self._hosts.setdefault(host, _Host(asyncio.Semaphore(self._per_host)))
        place.callers += 1
        try:
            async with place.free:
                self._count(tenant)
                try:
                    async with self._free:
                        yield
                finally:
                    self._tenants[tenant] -= 1
                    if not self._tenants[tenant]:
                        del self._tenants[tenant]
        finally:
            place.callers -= 1
            if place.callers == 0:
                del self._hosts[host]

    def _count(self, tenant: str) -> None:
        if tenant and self._tenants[tenant] >= self._per_tenant:
            raise OutboundFailed("too many calls of one tenant")
        self._tenants[tenant] += 1
