"""DPoP at an API (RFC 9449 section 7): the caller proves, request by request, to hold the key of the access token.

A proof counts once. Which came before is kept in a `ReplayMemory`: this process's own unless another is given. An
API that runs in several processes gives them a shared one; otherwise a proof may be used once in each. Nonces are
asked for where a `NonceSource` is given: then a proof that was made beforehand is worth nothing.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from keystead_sdk.addresses import origin_of
from keystead_sdk.errors import Misused, NonceRequired, ProofInvalid, ReplaysFull
from keystead_sdk.proofs import Proof, address_of, read_proof


class ReplayMemory(Protocol):
    async def is_first(self, key_thumbprint: str, proof_id: str, *, now: float, until: float) -> bool:
        """Remember the proof until then (seconds since the epoch); False when it is remembered already. Of two calls
        at once, wherever they are made, one is first."""


@dataclass(frozen=True, slots=True)
class NonceVerdict:
    is_good: bool
    next_nonce: str | None
    """To be used from now on: instead of one that is not good, or because a good one gets old."""


class NonceSource(Protocol):
    async def judge(self, nonce: str | None, now: float) -> NonceVerdict: ...


class LocalReplays:
    """In this process. While `most` proofs are remembered that could still be used, others are refused. `clock`, in
    seconds, is not the time of day: that may be set, and a proof be used again that was good for a minute more."""

    def __init__(self, *, most: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._until: OrderedDict[bytes, float] = OrderedDict()

    async def is_first(self, key_thumbprint: str, proof_id: str, *, now: float, until: float) -> bool:
        moment = self._clock()
        self._forget(moment)
        name = hashlib.sha256(f"{key_thumbprint} {proof_id}".encode()).digest()
        if name in self._until:
            return False
        if len(self._until) >= self._most:
            raise ReplaysFull("Too many requests. Try again shortly.")
        self._until[name] = moment + until - now
        return True

    def _forget(self, moment: float) -> None:
        while self._until:
            name, until = next(iter(self._until.items()))
            if until > moment:
                break
            del self._until[name]


class LocalNonces:
    """Made from a key and the time, nothing is stored. Processes that share the key know each other's."""

    STEP = 30.0

    def __init__(self, key: bytes | None = None, *, lifetime: float = 300.0) -> None:
        if key is not None and len(key) < 32:
            raise Misused("A key for nonces has at least 32 bytes.")
        self._key = key or secrets.token_bytes(32)
        self._lifetime = lifetime

    async def judge(self, nonce: str | None, now: float) -> NonceVerdict:
        age = self._age(nonce, now) if nonce is not None else None
        next_nonce = self._made(int(now // self.STEP))
        if age is None:
            return NonceVerdict(False, next_nonce)
        return NonceVerdict(True, next_nonce if age >= self._lifetime / 2 else None)

    def _age(self, nonce: str, now: float) -> float | None:
        number = nonce.partition(".")[0]
        if len(nonce) > 64 or not (number.isascii() and number.isdigit()):
            return None
        age = now - int(number) * self.STEP
        is_ours = hmac.compare_digest(nonce.encode(), self._made(int(number)).encode())
        return age if is_ours and -self.STEP <= age < self._lifetime else None

    def _made(self, number: int) -> str:
        code = hmac.digest(self._key, str(number).encode(), "sha256")[:16]
        return f"{number}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"


_NO_ORIGIN = "Name the origins of this API in a list, like https://api.example.com."


def _place(origin: str) -> tuple[str, str, int]:
    try:
        origin_of(origin)
    except ValueError as reason:
        raise Misused(_NO_ORIGIN) from reason
    address = address_of(origin)
    if address is None or address[3] not in ("", "/"):
        raise Misused(_NO_ORIGIN)
    return address[:3]


class ProofOfPossession:
    """How proofs are checked; one of these for all requests of an API.

    `origins` are the API's own (scheme, host, port), as its callers know them: never taken from the request, whose
    sender chooses its Host header. `window` is how many seconds a proof may be old, or ahead of this clock.
    """

    def __init__(
        self,
        *,
        origins: Collection[str],
        replays: ReplayMemory | None = None,
        nonces: NonceSource | None = None,
        window: float = 60.0,
    ) -> None:
        self._places = frozenset(_place(one) for one in origins)
        if not self._places:
            raise Misused(_NO_ORIGIN)
        self._replays: ReplayMemory = replays or LocalReplays()
        self._nonces = nonces
        self._window = window

    def read(self, proofs: Sequence[str], *, method: str, path: str, token: str, now: float) -> Proof:
        """`path` as it is after decoding. What does not depend on anything but the request."""
        if len(proofs) != 1:
            raise ProofInvalid("Exactly one DPoP proof must be sent.")
        addresses = frozenset((*place, path) for place in self._places)
        return read_proof(
            proofs[0], method=method, addresses=addresses, token=token, now=now, window=self._window
        )

    async def use(self, proof: Proof, now: float) -> str | None:
        """The proof counts now; answers the nonce that is to be sent with the answer, if any."""
        next_nonce = None
        if self._nonces is not None:
            verdict = await self._nonces.judge(proof.nonce, now)
            if not verdict.is_good:
                raise NonceRequired(verdict.next_nonce or "")
            next_nonce = verdict.next_nonce
        until = proof.issued_at + self._window
        if not await self._replays.is_first(proof.key_thumbprint, proof.id, now=now, until=until):
            raise ProofInvalid("The DPoP proof was used already.")
        return next_nonce
