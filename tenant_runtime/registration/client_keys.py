"""The keys that a client brings with it, for rows of `client_keys` (RFC 7517)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.crypto.keys import UnsupportedKey, read_public_key
from core.errors import InvalidClientMetadata

MOST_KEYS = 10
LONGEST_KID = 200


@dataclass(frozen=True, slots=True)
class NewKey:
    kid: str
    alg: str | None
    jwk: Mapping[str, Any]


def keys_of(document: Mapping[str, Any], algorithm: str | None) -> tuple[NewKey, ...]:
    """Those that verify signatures. `algorithm` is the only one that the client says it signs with, if it says so."""
    keys = document.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise InvalidClientMetadata(f"The jwks must hold between one and {MOST_KEYS} keys.")
    found = tuple(_key(jwk, algorithm) for jwk in keys if not _is_for_encryption(jwk))
    if not found or len({key.kid for key in found}) != len(found):
        raise InvalidClientMetadata("The jwks must hold keys for signatures, each with a kid of its own.")
    return found


def _is_for_encryption(jwk: Any) -> bool:
    return isinstance(jwk, dict) and jwk.get("use") == "enc"


def _key(jwk: Any, algorithm: str | None) -> NewKey:
    if not isinstance(jwk, dict):
        raise InvalidClientMetadata("The jwks holds something that is no key.")
    alg = jwk.get("alg") or algorithm
    try:
        kid = read_public_key(jwk if alg is None else {**jwk, "alg": alg}).kid
    except UnsupportedKey as wrong:
        raise InvalidClientMetadata(f"jwks: {wrong}") from None
    if len(kid) > LONGEST_KID or not kid.isprintable():
        raise InvalidClientMetadata("The jwks holds a kid that is no short text.")
    return NewKey(kid, alg, {**jwk, "kid": kid})
