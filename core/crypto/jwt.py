"""JSON Web Tokens (RFC 7519) as this server makes and accepts them (RFC 8725).

Always JWS, compact, with `typ` and `kid`. A token's header chooses one of the keys it is handed and may name
one of the algorithms it is handed; it can do nothing else: no key from a header, no address is followed, no
extension is understood. Sizes are checked before anything is decoded. Claims other than times are the
caller's to check.
"""

import hmac
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import msgspec
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from core.crypto.keys import JoseKey, PublicKey, PublicKeys, SigningKey

MAX_TOKEN = 16 * 1024
MAX_HEADER = 8 * 1024
_USUAL_HEADER = 512
LEEWAY = 60.0
"""Seconds by which an issuer's clock may be ahead of ours."""

_ALGORITHMS = JWSRegistry.algorithms
_MACS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_REFUSED_HEADERS = frozenset({"crit", "b64", "zip", "enc"})


class TokenInvalid(Exception):
    """The token is not good. `reason` is for the log; the caller is told only that it is invalid."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def sign(claims: Mapping[str, Any], key: SigningKey, *, typ: str) -> str:
    signing_input = _header_segment(key.alg, key.kid, typ) + urlsafe_b64encode(msgspec.json.encode(claims))
    signature = _ALGORITHMS[key.alg].sign(signing_input, key.jose)
    return (signing_input + b"." + urlsafe_b64encode(signature)).decode("ascii")


@lru_cache(4096)
def _header_segment(alg: str, kid: str, typ: str) -> bytes:
    return urlsafe_b64encode(msgspec.json.encode({"alg": alg, "typ": typ, "kid": kid})) + b"."


def verify(
    token: str, keys: PublicKeys, *, algorithms: tuple[str, ...], typ: tuple[str, ...]
) -> dict[str, Any]:
    """Signature and type, and the claims when both are right. An empty text in `typ` allows a header without
    one (client assertions of RFC 7523 need not have it)."""
    header_text, payload_text, signature_text = _segments(token)
    header = (_known_header if len(header_text) <= _USUAL_HEADER else _header)(header_text)
    if header.alg not in algorithms:
        raise TokenInvalid("algorithm")
    if _media_type(header.typ) not in {_media_type(allowed) for allowed in typ}:
        raise TokenInvalid("type")
    key = keys.get(header.kid)
    if key is None:
        raise TokenInvalid("kid")
    if header.alg not in key.algorithms:
        raise TokenInvalid("algorithm of key")
    signing_input = token[: len(header_text) + 1 + len(payload_text)].encode("ascii")
    if not _ALGORITHMS[header.alg].verify(signing_input, _decode(signature_text), key.jose):
        raise TokenInvalid("signature")
    return _object(payload_text)


K = TypeVar("K", bound="EmbeddedKey")


class EmbeddedKey(Protocol):
    @property
    def alg(self) -> str: ...

    @property
    def jose(self) -> JoseKey: ...


def verify_embedded(token: str, key_of: Callable[[str], K]) -> tuple[K, dict[str, Any]]:
    """For what is signed by a key of its own header, as proofs of possession are: it proves nothing but that.

    `key_of` is given the header's segment, and answers the one key and algorithm to check with, or raises
    `TokenInvalid`. Which types, keys and algorithms are good, it decides.
    """
    header_text, payload_text, signature_text = _segments(token)
    key = key_of(header_text)
    signing_input = token[: len(header_text) + 1 + len(payload_text)].encode("ascii")
    if not _ALGORITHMS[key.alg].verify(signing_input, _decode(signature_text), key.jose):
        raise TokenInvalid("signature")
    return key, _object(payload_text)


def header_members(segment: str) -> dict[str, Any]:
    """Of a header that `verify` did not read. Extensions are refused here too."""
    members = _object(segment)
    if not _REFUSED_HEADERS.isdisjoint(members):
        raise TokenInvalid("extension")
    return members


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token taken apart, for keys that are found by what it says. Nothing is true until one of them signed it."""

    alg: str
    kid: str | None
    typ: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def is_signed_by(self, key: PublicKey) -> bool:
        return self.alg in key.algorithms and bool(
            _ALGORITHMS[self.alg].verify(self.signed, self.signature, key.jose)
        )

    def is_signed_with(self, secret: bytes) -> bool:
        """HMAC (RFC 7518 section 3.2). An empty secret is everybody's."""
        hashed = _MACS.get(self.alg)
        if hashed is None or not secret:
            return False
        return hmac.compare_digest(hmac.digest(secret, self.signed, hashed), self.signature)


def take_apart(token: str, *, algorithms: tuple[str, ...], typ: tuple[str, ...]) -> Unverified:
    """As `verify`, but for the signature. The key need not be named."""
    header_text, payload_text, signature_text = _segments(token)
    members = header_members(header_text)
    alg, kid, named = members.get("alg"), members.get("kid"), members.get("typ", "")
    if not (isinstance(alg, str) and isinstance(kid, str | None) and isinstance(named, str)):
        raise TokenInvalid("header")
    if alg not in algorithms:
        raise TokenInvalid("algorithm")
    if _media_type(named) not in {_media_type(allowed) for allowed in typ}:
        raise TokenInvalid("type")
    signed = token[: len(header_text) + 1 + len(payload_text)].encode("ascii")
    return Unverified(alg, kid, named, _object(payload_text), signed, _decode(signature_text))


def check_times(claims: Mapping[str, Any], now: float, leeway: float = LEEWAY) -> None:
    """RFC 7519 sections 4.1.4 to 4.1.6. The leeway is for clocks ahead of ours (`nbf`, `iat`); it does not
    lengthen a token's life."""
    if now >= _time(claims, "exp"):
        raise TokenInvalid("expired")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise TokenInvalid("not yet valid")
    if "iat" in claims and _time(claims, "iat") > now + leeway:
        raise TokenInvalid("issued in the future")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid(f"{name} is no number")
    try:
        seconds = float(value)
    except OverflowError:
        raise TokenInvalid(f"{name} is out of range") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise TokenInvalid(f"{name} is out of range")
    return seconds


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str
    typ: str


def _segments(token: str) -> tuple[str, str, str]:
    if len(token) > MAX_TOKEN:
        raise TokenInvalid("too long")
    if not token.isascii() or token.count(".") != 2:
        raise TokenInvalid("no compact JWS")
    header, payload, signature = token.split(".")
    if len(header) > MAX_HEADER:
        raise TokenInvalid("header too long")
    if not (header and payload and signature):
        raise TokenInvalid("empty part")
    return header, payload, signature


def _header(segment: str) -> _Header:
    members = header_members(segment)
    alg, kid, typ = members.get("alg"), members.get("kid"), members.get("typ", "")
    if not (isinstance(alg, str) and isinstance(kid, str) and isinstance(typ, str)):
        raise TokenInvalid("header")
    return _Header(alg, kid, typ)


_known_header = lru_cache(1024)(_header)
"""Tokens of one key share one header. What is refused is not kept, nor what is unusually long."""


def _media_type(typ: str) -> str:
    """RFC 7515 section 4.1.9: letter case does not count, `application/` may be left out."""
    return typ.lower().removeprefix("application/")


def _decode(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment.encode("ascii"))
    except ValueError:
        raise TokenInvalid("base64") from None


def _object(segment: str) -> dict[str, Any]:
    try:
        text = _decode(segment).decode("utf-8")
        value = _JSON.decode(text)
        if "\\u" in text:  # an escaped lone surrogate cannot be stored, compared or sent on
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise TokenInvalid("JSON") from None
    if not isinstance(value, dict):
        raise TokenInvalid("no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7515 section 4: of two members with one name, no parser may choose."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
