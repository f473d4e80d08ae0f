"""What a DPoP proof must be (RFC 9449 section 4.3), decided from its text, the request and the time alone.

Whether it came before, and whether its nonce is good, is asked elsewhere and last: a stranger's proof is not
remembered.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from keystead_sdk.compact import COMPACT, decode_segment, is_type, read_segment
from keystead_sdk.errors import PROOF_ALGORITHMS, ProofInvalid
from keystead_sdk.keys import PublicKey, verification_key

ALGORITHMS = {name: JWSRegistry.algorithms[name] for name in PROOF_ALGORITHMS.split()}
LONGEST_PROOF = 4096
LONGEST_HEADER = 2048
LONGEST_ID = 256
LONGEST_ADDRESS = 2048
#: characters of base64url: RSA keys up to 4096 bits, exponents up to 32
LONGEST_NUMBERS = {"n": 4096 // 6 + 1, "e": 32 // 6 + 1}
REFUSED_HEADERS = frozenset({"crit", "b64", "zip", "enc"})
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_ports = {"https": 443, "http": 80}
Address = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is good by itself: by which key, and what else must be asked."""

    key_thumbprint: str
    id: str
    issued_at: float
    nonce: str | None


def read_proof(
    text: str, *, method: str, addresses: frozenset[Address], token: str, now: float, window: float
) -> Proof:
    """Raises `ProofInvalid`. `addresses` are the spellings of the one request that it must be for."""
    match = COMPACT.fullmatch(text) if len(text) <= LONGEST_PROOF else None
    if match is None or len(match[1]) > LONGEST_HEADER:
        raise ProofInvalid
    try:
        key = _key_of(match[1])
        claims = read_segment(match[2])
        signature = decode_segment(match[3])
        signed = text[: match.start(3) - 1].encode()
        if not ALGORITHMS[key.algorithm].verify(signed, signature, key.key):
            raise ValueError("signature")
    except (ValueError, TypeError, JoseError) as reason:
        raise ProofInvalid from reason
    _check_request(claims, method, addresses)
    _check_token(claims, token)
    return Proof(key.thumbprint, _id(claims), _issued_at(claims, now, window), _nonce(claims))


def _check_request(claims: Mapping[str, Any], method: str, addresses: frozenset[Address]) -> None:
    htu = claims.get("htu")
    if claims.get("htm") != method:
        raise ProofInvalid("The DPoP proof is for another method.")
    if not isinstance(htu, str) or address_of(htu) not in addresses:
        raise ProofInvalid("The DPoP proof is for another address.")


def _check_token(claims: Mapping[str, Any], token: str) -> None:
    ath = claims.get("ath")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), token_hash(token).encode()):
        raise ProofInvalid("The DPoP proof is for another access token.")


def _id(claims: Mapping[str, Any]) -> str:
    value = claims.get("jti")
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise ProofInvalid("The jti of the DPoP proof is missing or too long.")
    return value


def _issued_at(claims: Mapping[str, Any], now: float, window: float) -> float:
    value = claims.get("iat")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProofInvalid("The iat of the DPoP proof is missing or no number.")
    if not now - window <= value <= now + window:
        raise ProofInvalid("The DPoP proof was not made just now.")
    return value


def _nonce(claims: Mapping[str, Any]) -> str | None:
    value = claims.get("nonce")
    if not isinstance(value, str | None):
        raise ProofInvalid("The nonce of the DPoP proof is no text.")
    return value


def token_hash(token: str) -> str:
    """`ath` (section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def address_of(text: str) -> Address | None:
    """Scheme, host, port and decoded path. Query and fragment do not count, nor letter case of scheme and host, nor
    a default port; nothing else is forgiven."""
    if len(text) > LONGEST_ADDRESS or not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _ports or not host or "@" in parts.netloc:
        return None
    return parts.scheme, host, _ports[parts.scheme] if port is None else port, unquote(parts.path)


# --- the key


@dataclass(frozen=True, slots=True)
class _ProofKey:
    algorithm: str
    thumbprint: str
    key: PublicKey = field(repr=False, compare=False)


@lru_cache(1024)
def _key_of(segment: str) -> _ProofKey:
    """Raises ValueError. All proofs by one key have the same header, so the key is read once; what is refused is not
    kept."""
    header = read_segment(segment)
    algorithm, jwk = header.get("alg"), header.get("jwk")
    if not REFUSED_HEADERS.isdisjoint(header) or not is_type(header.get("typ"), ("dpop+jwt",)):
        raise ValueError("not the header of a proof")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise ValueError("an algorithm that is not allowed")
    if not isinstance(jwk, Mapping) or not PRIVATE_MEMBERS.isdisjoint(jwk) or not _is_cheap(jwk):
        raise ValueError("no public key")
    found = verification_key(jwk)
    if found is None or algorithm not in found.algorithms:
        raise ValueError("no key for this algorithm")
    return _ProofKey(algorithm, found.key.thumbprint(), found.key)


def _is_cheap(jwk: Mapping[str, Any]) -> bool:
    """Large numbers only make every check expensive."""
    numbers = [(jwk.get(name, ""), longest) for name, longest in LONGEST_NUMBERS.items()]
    return all(isinstance(number, str) and len(number) <= longest for number, longest in numbers)
