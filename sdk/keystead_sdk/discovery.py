"""Keys of issuers over HTTP: metadata, then key set, kept for a while.

A key set is fetched when first needed, when it is older than `max_age`, and when a token names a key it
does not hold - but never more often than `refetch_floor` for one issuer, however many tokens with made-up
key ids arrive, and once for all who wait. When a fetch fails, the keys held stay in use until they are
`max_stale` old. The number of issuers remembered is bounded; the least recently used is forgotten.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from keystead_sdk.addresses import discovery_address, origin_of
from keystead_sdk.errors import KeysUnavailable
from keystead_sdk.fetching import Fetch, HttpFetch
from keystead_sdk.keys import KeySet
from keystead_sdk.strict_json import read_object

log = logging.getLogger("keystead_sdk")

LARGEST_ANSWER = 256 * 1024
FETCH_SECONDS = 10.0
#: after a failure with no keys at all in hand, when to try again
RETRY_SECONDS = 5.0


@dataclass(slots=True)
class _Held:
    keys: KeySet | None = None
    fetched_at: float = -math.inf
    tried_at: float = -math.inf
    fetching: asyncio.Task[None] | None = None


class DiscoveredKeys:
    def __init__(
        self,
        *,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
        key_origins: Collection[str] = (),
        max_age: float = 600.0,
        refetch_floor: float = 30.0,
        max_stale: float = 86_400.0,
        max_issuers: int = 1000,
    ) -> None:
        """`key_origins`: where, besides its own origin, an issuer may keep its key set. `clock`: seconds, only ever
        compared with one another."""
        self._fetch: Fetch = fetch or HttpFetch(LARGEST_ANSWER)
        self._clock = clock
        self._key_origins = frozenset(origin_of(one) for one in key_origins)
        self._max_age = max_age
        self._refetch_floor = refetch_floor
        self._max_stale = max_stale
        self._max_issuers = max_issuers
        self._issuers: OrderedDict[str, _Held] = OrderedDict()

    async def keys(self, issuer: str, key_id: str) -> KeySet:
        held = self._held(issuer)
        now = self._clock()
        self._set_back(held, now)
        if held.keys is not None and key_id in held.keys and now - held.fetched_at < self._max_age:
            return held.keys
        if _is_running(held.fetching) or now - held.tried_at >= self._wait_after(held):
            await self._refetch(issuer, held, now)
        if held.keys is None or now - held.fetched_at > self._max_stale:
            raise KeysUnavailable("The keys of the token's issuer cannot be fetched at the moment.")
        return held.keys

    def _held(self, issuer: str) -> _Held:
        held = self._issuers.setdefault(issuer, _Held())
        self._issuers.move_to_end(issuer)
        if len(self._issuers) > self._max_issuers:
            self._issuers.popitem(last=False)
        return held

    def _set_back(self, held: _Held, now: float) -> None:
        """By a clock that was ahead and no longer is: how old the keys are is not known. They are due, not useless."""
        if held.fetched_at > now:
            held.fetched_at = now - self._max_age
        if held.tried_at > now:
            held.tried_at = -math.inf

    def _wait_after(self, held: _Held) -> float:
        return self._refetch_floor if held.keys is not None else min(RETRY_SECONDS, self._refetch_floor)

    async def _refetch(self, issuer: str, held: _Held, now: float) -> None:
        """A shared task: a caller that goes away takes neither the fetch nor the others with it."""
        if not _is_running(held.fetching):
            held.tried_at = now
            held.fetching = asyncio.create_task(self._load(issuer, held, now))
        assert held.fetching is not None
        await asyncio.shield(held.fetching)

    async def _load(self, issuer: str, held: _Held, now: float) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                held.keys = await self._discover(issuer)
            held.fetched_at = now
        except Exception as failure:  # noqa: BLE001 - whatever went wrong: keep what is held, try again later
            log.warning("keys of %s could not be fetched: %r", issuer, failure)

    async def _discover(self, issuer: str) -> KeySet:
        origin = origin_of(issuer)
        metadata = await self._object(discovery_address(issuer))
        if metadata.get("issuer") != issuer:
            raise ValueError("the metadata names another issuer")
        address = metadata.get("jwks_uri")
        if not isinstance(address, str) or origin_of(address) not in self._key_origins | {origin}:
            raise ValueError("the key set is kept at an origin that is not allowed")
        return KeySet.from_jwks(await self._object(address))

    async def _object(self, address: str) -> Mapping[str, Any]:
        answer = await self._fetch(address)
        if len(answer) > LARGEST_ANSWER:
            raise ValueError("the answer is too large")
        return read_object(answer)


def _is_running(task: asyncio.Task[None] | None) -> bool:
    """On this event loop: a task that another, closed loop left behind will never end."""
    return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()
