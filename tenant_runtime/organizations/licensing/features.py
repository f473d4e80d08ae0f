"""Features as products name them (`sso:true`, `projects:500`, `api_calls:unlimited`), and what several come to.

`unlimited` is more than anything, `true` (it is there, and nobody counts) more than a number, and numbers add up: who
buys a package twice has twice as much.
"""

import re
from collections.abc import Iterable
from typing import TypeAlias

Value: TypeAlias = bool | int | str
"""True, a number, or `unlimited`."""

UNLIMITED = "unlimited"
KEY = r"[a-z][a-z0-9_.-]{0,62}"
PATTERN = rf"^{KEY}:(true|unlimited|0|[1-9][0-9]{{0,11}})\Z"
_FEATURE = re.compile(PATTERN)


def key_of(feature: str) -> str:
    return feature.partition(":")[0]


def combined(features: Iterable[str]) -> dict[str, Value]:
    """By key. What another release wrote and this one does not understand gives nothing."""
    found: dict[str, Value] = {}
    for feature in features:
        if not isinstance(feature, str) or _FEATURE.fullmatch(feature) is None:
            continue
        key, _, text = feature.partition(":")
        found[key] = _more(found.get(key, 0), _value(text))
    return dict(sorted(found.items()))


def limit_of(value: Value) -> int | None:
    """None: as much as they like."""
    return None if value is True or value == UNLIMITED else int(value)


def _value(text: str) -> Value:
    match text:
        case "true":
            return True
        case "unlimited":
            return UNLIMITED
    return int(text)


def _more(one: Value, other: Value) -> Value:
    for greatest in (UNLIMITED, True):
        if one is greatest or other is greatest:
            return greatest
    return int(one) + int(other)
