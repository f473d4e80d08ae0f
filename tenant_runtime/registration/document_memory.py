"""What a process remembers of client-id metadata documents that it fetched: which could not be used, and what is
being fetched now. What could be used is a client of the tenant, and stands in its database."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

FAILED_MS = 60_000
REMEMBERED = 4096

Place: TypeAlias = tuple[str, str, str]
"""Tenant, its incarnation, address."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`is_passing`: nothing was said about the client, which may be asked again. `reason` may be shown."""

    reason: str
    is_passing: bool = False


class DocumentMemory:
    """One per process. Of the loop that it is used in; needs no lock."""

    def __init__(self) -> None:
        self._failures: OrderedDict[Place, tuple[int, Failure]] = OrderedDict()
        self._calls: dict[Place, asyncio.Task[Failure | None]] = {}
        self._fresh: OrderedDict[Place, int] = OrderedDict()

    def fresh_until(self, place: Place) -> int:
        """As `keep_fresh` was told, or 0."""
        return self._fresh.get(place, 0)

    def keep_fresh(self, place: Place, until: int) -> None:
        """For what holds longer than its row says: each write of that makes every process read everything anew."""
        self._fresh[place] = until
        self._fresh.move_to_end(place)
        while len(self._fresh) > REMEMBERED:
            self._fresh.popitem(last=False)

    async def once(
        self, place: Place, now_ms: int, fetch: Callable[[], Awaitable[Failure | None]]
    ) -> Failure | None:
        """The failure of a minute ago, or what `fetch` answers. Callers who ask at once share one call."""
        failed_at, failure = self._failures.get(place, (0, None))
        if failure is not None and failed_at <= now_ms < failed_at + FAILED_MS:
            return failure
        call = self._calls.get(place)
        if call is None:
            call = asyncio.create_task(self._fetch(place, now_ms, fetch))
            self._calls[place] = call
            call.add_done_callback(lambda done: self._end(place, done))
        return await asyncio.shield(call)  # one caller who goes away takes nothing from the others

    def _end(self, place: Place, done: "asyncio.Task[Failure | None]") -> None:
        """Whoever waited has the exception; where nobody waits any more, nobody wants it."""
        self._calls.pop(place, None)
        if not done.cancelled():
            done.exception()

    async def _fetch(
        self, place: Place, now_ms: int, fetch: Callable[[], Awaitable[Failure | None]]
    ) -> Failure | None:
        failure = await fetch()
        self._failures.pop(place, None)
        if failure is not None:
            self._failures[place] = (now_ms, failure)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)
        return failure
