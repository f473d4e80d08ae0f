"""What a DPoP proof must be (RFC 9449 section 4.3), decided from its text, the request and the time alone.

Whether its nonce is one of ours and whether it came before, `dpop` and the database say.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from joserfc.errors import JoseError

from core.crypto import jwt
from core.crypto.keys import JoseKey, PublicKeys
from core.errors import InvalidDpopProof
from core.http.security import is_equal

ALGORITHMS = ("ES256", "PS256", "EdDSA")
TYPE = "dpop+jwt"
WINDOW = 60
"""Seconds that a proof may be old, or ahead of our clock."""

MAX_PROOF = 4096
MAX_HEADER = 2048
MAX_TEXT = 2048
MAX_JTI = 256
_RSA_BITS = 4096
_EXPONENT_BITS = 32
"""A larger key or exponent only makes every verification expensive."""

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """The request that a proof must be for: the origin it was sent to (any of these), its path as the server decoded
    it, and at a resource the access token."""

    method: str
    origins: Collection[str]
    path: str
    access_token: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A proof that is good by itself."""

    jkt: str
    jti: str
    issued_at: float
    nonce: str | None


def verify_proof(proof: str, target: Target, now: float) -> Verified:
    """Raises `InvalidDpopProof`. `now` in seconds."""
    if len(proof) > MAX_PROOF:
        raise InvalidDpopProof("The DPoP proof is too long.")
    try:
        key, claims = jwt.verify_embedded(proof, _key_of)
    except jwt.TokenInvalid as reason:
        raise InvalidDpopProof from reason
    _check_target(claims, target)
    jti, nonce = claims.get("jti"), claims.get("nonce")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise InvalidDpopProof("The jti of the DPoP proof is missing or too long.")
    if not isinstance(nonce, str | None):
        raise InvalidDpopProof("The nonce of the DPoP proof is no text.")
    return Verified(key.jkt, jti, _issued_at(claims, now), nonce)


def _issued_at(claims: Mapping[str, Any], now: float) -> float:
    issued_at = claims.get("iat")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise InvalidDpopProof("The iat of the DPoP proof is missing or no number.")
    if not now - WINDOW <= issued_at <= now + WINDOW:
        raise InvalidDpopProof("The DPoP proof was not made just now.")
    return issued_at


def _check_target(claims: Mapping[str, Any], target: Target) -> None:
    htm, htu, token = claims.get("htm"), claims.get("htu"), target.access_token
    if htm != target.method:
        raise InvalidDpopProof("The DPoP proof is for another method.")
    address = _address(htu) if isinstance(htu, str) else None
    if address is None or address[3] != target.path or address[:3] not in map(_origin, target.origins):
        raise InvalidDpopProof("The DPoP proof is for another address.")
    if token is not None:
        ath = claims.get("ath")
        if not isinstance(ath, str) or not is_equal(ath, token_hash(token)):
            raise InvalidDpopProof("The DPoP proof is for another access token.")


def token_hash(access_token: str) -> str:
    """`ath` (section 4.2)."""
    hashed = hashlib.sha256(access_token.encode("ascii")).digest()
    return urlsafe_b64encode(hashed).rstrip(b"=").decode("ascii")


def _address(htu: str) -> tuple[str, str, int, str] | None:
    """Scheme, host, port and decoded path; query and fragment do not count, and no more than that is forgiven."""
    if len(htu) > MAX_TEXT or not htu.isascii() or not htu.isprintable() or " " in htu:
        return None
    try:
        parts = urlsplit(htu)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    return scheme, host, _PORTS[scheme] if port is None else port, unquote(parts.path)


@lru_cache(4096)
def _origin(origin: str) -> tuple[str, str, int]:
    address = _address(origin)
    if address is None:
        raise ValueError("an issuer is no web address")
    return address[:3]


# --- The key ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ProofKey:
    alg: str
    jkt: str
    jose: JoseKey = field(repr=False, compare=False)


def _key_of(segment: str) -> _ProofKey:
    if len(segment) > MAX_HEADER:
        raise jwt.TokenInvalid("header too long")
    return _known_key(segment)


@lru_cache(1024)
def _known_key(segment: str) -> _ProofKey:
    """Every proof by one key has the same header: the key is read once. What is refused is not kept."""
    members = jwt.header_members(segment)
    typ, alg, jwk = members.get("typ"), members.get("alg"), members.get("jwk")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != TYPE:
        raise jwt.TokenInvalid("type")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise jwt.TokenInvalid("algorithm")
    if not isinstance(jwk, dict) or not _PRIVATE_MEMBERS.isdisjoint(jwk) or not _is_cheap(jwk):
        raise jwt.TokenInvalid("jwk")
    key = PublicKeys([{**jwk, "kid": "jwk"}]).get("jwk")
    if key is None or alg not in key.algorithms:
        raise jwt.TokenInvalid("jwk")
    try:
        key.jose.raw_value  # noqa: B018  (made when first asked for: a point that is off its curve shows itself here)
        return _ProofKey(alg, key.jose.thumbprint(), key.jose)
    except (JoseError, ValueError, TypeError) as reason:
        raise jwt.TokenInvalid("jwk") from reason


def _is_cheap(jwk: Mapping[str, Any]) -> bool:
    """Asked before anything is computed; a character is six bits."""
    return all(_is_short(jwk.get(name, ""), bits) for name, bits in (("n", _RSA_BITS), ("e", _EXPONENT_BITS)))


def _is_short(number: object, bits: int) -> bool:
    return isinstance(number, str) and len(number) <= bits // 6 + 1
