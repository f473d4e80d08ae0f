"""Key sets that clients publish at an address of their own (`jwks_uri`, OpenID Connect Core 1.0 section 10).

Read when they are needed and kept for a while, per tenant and address. A key that is not among those kept may be new:
then the address is asked again, but not by every request that makes a name up. Callers who ask at once share one call.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from core.crypto.keys import PublicKey, UnsupportedKey, read_public_key
from core.outbound import Outbound, OutboundFailed, OutboundRefused
from core.tenants import Tenant

KEPT_MS = 300_000
AGAIN_MS = 30_000
"""Between two calls because of keys that are not known."""

FAILED_MS = 10_000
"""How long an address that did not answer is left alone."""

MOST_ADDRESSES = 1024
MOST_KEYS = 50
_ACCEPT = "application/jwk-set+json, application/json"

Place: TypeAlias = tuple[str, str, str]
"""Tenant, its incarnation, address."""


class KeysUnavailable(Exception):
    """The address gave no key set. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: tuple[PublicKey, ...]
    read_at: int
    asked_again_at: int | None = None
    failure: str | None = None

    def is_due(self, now_ms: int, *, again: bool) -> bool:
        if self.failure is not None:
            return not self.is_younger(now_ms, FAILED_MS)
        return not self.is_younger(now_ms, KEPT_MS) or (again and self._may_ask_again(now_ms))

    def is_younger(self, now_ms: int, age: int) -> bool:
        """What was read at a time that has yet to come is old: the clock was ahead."""
        return 0 <= now_ms - self.read_at < age

    def _may_ask_again(self, now_ms: int) -> bool:
        return self.asked_again_at is None or not 0 <= now_ms - self.asked_again_at < AGAIN_MS


class RemoteKeys:
    """Of one process and the loop that it is used in; needs no lock. `at_once`: how many of a tenant's addresses are
    asked at a time."""

    def __init__(self, at_once: int = MOST_ADDRESSES) -> None:
        self._at_once = at_once
        self._kept: OrderedDict[Place, _Kept] = OrderedDict()
        self._calls: dict[Place, asyncio.Task[_Kept]] = {}

    async def get(
        self, outbound: Outbound, tenant: Tenant, url: str, now_ms: int, *, again: bool = False
    ) -> tuple[PublicKey, ...]:
        """`again`: what was got before had no fitting key. Raises `KeysUnavailable`."""
        place = (tenant.id, tenant.incarnation, url)
        kept = self._kept.get(place)
        if kept is None or kept.is_due(now_ms, again=again):
            kept = await self._ask_once(outbound, place, now_ms, again=again and kept is not None)
        if kept.failure is not None:
            raise KeysUnavailable(kept.failure)
        return kept.keys

    async def _ask_once(self, outbound: Outbound, place: Place, now_ms: int, *, again: bool) -> _Kept:
        call = self._calls.get(place)
        if call is None:
            if sum(asked[:2] == place[:2] for asked in self._calls) >= self._at_once:
                raise KeysUnavailable("too many are asked at once")
            call = asyncio.create_task(self._ask(outbound, place, now_ms, again))
            self._calls[place] = call
            call.add_done_callback(lambda _: self._calls.pop(place, None))
        return await asyncio.shield(call)  # one caller who goes away takes nothing from the others

    async def _ask(self, outbound: Outbound, place: Place, now_ms: int, again: bool) -> _Kept:
        before = self._kept.get(place)
        asked_again_at = now_ms if again else (before.asked_again_at if before is not None else None)
        try:
            kept = _Kept(await _fetch(outbound, place[0], place[2]), now_ms, asked_again_at)
        except KeysUnavailable as error:
            if before is not None and before.failure is None and before.is_younger(now_ms, KEPT_MS):
                kept = replace(before, asked_again_at=asked_again_at)
            else:
                kept = _Kept((), now_ms, failure=error.reason)
        self._keep(place, kept)
        return kept

    def _keep(self, place: Place, kept: _Kept) -> None:
        self._kept[place] = kept
        self._kept.move_to_end(place)
        while len(self._kept) > MOST_ADDRESSES:
            self._kept.popitem(last=False)


async def _fetch(outbound: Outbound, tenant: str, url: str) -> tuple[PublicKey, ...]:
    try:
        fetched = await outbound.get(url, tenant=tenant, accept=_ACCEPT)
    except OutboundRefused as error:
        raise KeysUnavailable(str(error)) from error
    except OutboundFailed as error:
        raise KeysUnavailable(error.reason) from error
    if fetched.status != 200:
        raise KeysUnavailable(f"status {fetched.status}")
    try:
        return read_keys(msgspec.json.decode(fetched.body))
    except (ValueError, RecursionError):
        raise KeysUnavailable("no key set") from None


def read_keys(document: Any) -> tuple[PublicKey, ...]:
    """The keys of a set that prove something (RFC 7517 section 5: others are passed over). Raises ValueError when it
    is no key set."""
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise ValueError("no key set")
    return tuple(key for key in map(_read, keys) if key is not None)


def _read(jwk: Any) -> PublicKey | None:
    if not isinstance(jwk, Mapping):
        return None
    try:
        return read_public_key(jwk)
    except UnsupportedKey:
        return None
