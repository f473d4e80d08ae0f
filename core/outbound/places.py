"""How many calls may be under way: in all, and to one host, so that a slow host takes no place from others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Host:
    free: asyncio.Semaphore
    callers: int = 0


class Places:
    def __init__(self, *, in_all: int, per_host: int) -> None:
        self._free = asyncio.Semaphore(in_all)
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def taken(self, host: str) -> AsyncIterator[None]:
        """Waits for a place at the host first: who waits there holds no other place."""
        place = self._hosts.setdefault(host, _Host(asyncio.Semaphore(self._per_host)))
        place.callers += 1
        try:
            async with place.free, self._free:
                yield
        finally:
            place.callers -= 1
            if place.callers == 0:
                del self._hosts[host]
