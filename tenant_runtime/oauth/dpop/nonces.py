"""The nonces that DPoP proofs carry (RFC 9449 sections 8 and 9). None is stored: the tenant's key says whose they are.

A nonce is the number of the half minute in which it was made, and a code over it. Two workers make the same one in
the same half minute; another tenant cannot make it, and nobody can before its time.
"""

import hmac
from base64 import urlsafe_b64encode

from core.crypto.sealing import DataKey
from core.http.security import is_equal

STEP = 30
LIFETIME = 300
"""Seconds."""

RENEWED_AFTER = 150
_PURPOSE = "DPoP nonces"
_LONGEST = 64


def new_nonce(key: DataKey, now: float) -> str:
    return _nonce(key, int(now) // STEP)


def age_of(key: DataKey, nonce: str, now: float) -> float | None:
    """In seconds, or None: not ours, or too old. One of the next half minute comes from a worker whose clock is
    ahead."""
    number, _, _ = nonce.partition(".")
    if len(nonce) > _LONGEST or not number.isascii() or not number.isdigit():
        return None
    age = now - int(number) * STEP
    if not -STEP <= age < LIFETIME or not is_equal(nonce, _nonce(key, int(number))):
        return None
    return age


def _nonce(key: DataKey, number: int) -> str:
    code = hmac.digest(key.derive(_PURPOSE), b"%d" % number, "sha256")[:16]
    return f"{number}.{urlsafe_b64encode(code).rstrip(b'=').decode('ascii')}"
