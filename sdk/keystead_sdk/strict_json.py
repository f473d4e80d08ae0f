"""JSON objects from strangers: each name once, finite numbers, text that is text, shallow, read-only."""

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

DEEPEST = 16


def read_object(raw: bytes) -> Mapping[str, Any]:
    """Raises ValueError for anything but one well-formed JSON object (RFC 8259, RFC 7493)."""
    try:
        value = _decoder.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    frozen: Mapping[str, Any] = _freeze(value, DEEPEST)
    return frozen


def _freeze(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return tuple(_freeze(item, depth - 1) for item in value)
    return MappingProxyType({_text(name): _freeze(item, depth - 1) for name, item in value.items()})


def _text(value: str) -> str:
    """Escaped lone surrogates are no text: encoding them raises (a ValueError)."""
    if not value.isascii():
        value.encode("utf-8")
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_each_name_once, parse_float=_finite, parse_constant=_no_constant
)
