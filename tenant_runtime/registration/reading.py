"""JSON from strangers: one object, UTF-8, every member once, nothing that cannot be stored."""

import json
from typing import Any

import msgspec

from core.errors import InvalidClientMetadata


def json_object(body: bytes) -> dict[str, Any]:
    """Without the members that are null: RFC 7591 lets a client leave out what it does not know."""
    try:
        msgspec.json.decode(body)  # knows neither lone surrogates nor numbers that are none
        value = json.loads(body, object_pairs_hook=_unique)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidClientMetadata("The metadata must be one JSON object, with each member once.") from None
    if not isinstance(value, dict):
        raise InvalidClientMetadata("The metadata must be one JSON object.")
    return {name: item for name, item in value.items() if item is not None}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members
