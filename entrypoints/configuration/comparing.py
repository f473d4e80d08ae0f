"""When two values are the same, and what of an object a change would name.

What is empty is as good as not said: clients of Auth0's API write `[]`, `{}`, null and "" for it. An object is
compared member by member, and only by those that the file names: a PATCH changes no others.
"""

from collections.abc import Mapping
from typing import Any

_EMPTY: tuple[Any, ...] = (None, "", [], {}, ())


def is_empty(value: Any) -> bool:
    return value in _EMPTY and value is not False


def is_same(wanted: Any, present: Any) -> bool:
    """Whether writing `wanted` over `present` would change nothing."""
    if is_empty(wanted) and is_empty(present):
        return True
    if isinstance(wanted, Mapping) and (present is None or isinstance(present, Mapping)):
        present = present or {}
        return all(is_same(value, present.get(name)) for name, value in wanted.items())
    return _is_equal(wanted, present)


def _is_equal(one: Any, other: Any) -> bool:
    match one, other:
        case (dict(), dict()):
            return all(_is_equal(one.get(name), other.get(name)) for name in one.keys() | other.keys())
        case (list(), list()):
            return len(one) == len(other) and all(map(_is_equal, one, other))
        case (bool(), _) | (_, bool()):
            return one is other
    return bool(one == other) or (is_empty(one) and is_empty(other))


def is_same_set(wanted: list[Any], present: list[Any]) -> bool:
    """Of lists whose order says nothing."""
    return set(map(_written, wanted)) == set(map(_written, present))


def _written(item: Any) -> str:
    """In one way, however its members are ordered."""
    match item:
        case dict():
            said = {str(name): _written(value) for name, value in item.items() if not is_empty(value)}
            return repr(sorted(said.items()))
        case list():
            return repr([_written(each) for each in item])
    return repr(item)
