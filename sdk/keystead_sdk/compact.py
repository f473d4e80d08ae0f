"""A token taken apart, before anything in it is believed.

Sizes are looked at first, then the JWS compact serialization (RFC 7515 section 7.1), then both JSON parts. A
header may not say much: keys come from the issuer's key set and from nowhere else (RFC 8725 section 3.10),
extensions that must be understood are not, and nested or compressed tokens do not exist here.
"""

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from keystead_sdk.errors import TokenInvalid
from keystead_sdk.strict_json import read_object

LONGEST_TOKEN = 16 * 1024
LONGEST_HEADER = 2 * 1024
LONGEST_KEY_ID = 256
REFUSED_HEADERS = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty"})

COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_not_a_token = "The access token is not well formed."


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    algorithm: str
    key_id: str
    signed: bytes
    signature: bytes
    claims: Mapping[str, Any]


def take_apart(token: str, *, algorithms: Collection[str], types: Collection[str]) -> UnverifiedToken:
    if len(token) > LONGEST_TOKEN:
        raise TokenInvalid("The access token is too long.")
    match = COMPACT.fullmatch(token)
    if match is None or len(match[1]) > LONGEST_HEADER:
        raise TokenInvalid(_not_a_token)
    signature = _decode(match[3])
    header = _read(match[1])
    if not REFUSED_HEADERS.isdisjoint(header):
        raise TokenInvalid("The header of the access token holds a member that is not allowed.")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenInvalid("The access token is signed with an algorithm that is not allowed.")
    if not is_type(header.get("typ"), types):
        raise TokenInvalid("This is not an access token.")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
        raise TokenInvalid("The access token does not name its key.")
    signed = token[: match.start(3) - 1].encode()
    return UnverifiedToken(algorithm, key_id, signed, signature, _read(match[2]))


def is_type(value: object, types: Collection[str]) -> bool:
    """A media type: letter case and a leading `application/` do not matter (RFC 7515 section 4.1.9)."""
    if not isinstance(value, str):
        return False
    return value.lower().removeprefix("application/") in types


def _read(segment: str) -> Mapping[str, Any]:
    try:
        return read_segment(segment)
    except ValueError:
        raise TokenInvalid(_not_a_token) from None


def _decode(segment: str) -> bytes:
    try:
        return decode_segment(segment)
    except ValueError:
        raise TokenInvalid(_not_a_token) from None


def read_segment(segment: str) -> Mapping[str, Any]:
    """Raises ValueError."""
    return read_object(decode_segment(segment))


def decode_segment(segment: str) -> bytes:
    """Only the one right spelling: leftover bits must be zero, so that a token has no second text.

    Raises ValueError."""
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise ValueError("not the one right spelling")
    return raw
