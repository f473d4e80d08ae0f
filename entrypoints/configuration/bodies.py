"""What the Management API takes, asked of its own handlers: every entry of a file is checked as a request would be,
before the first request is sent."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from tenant_runtime.management.api import handlers

_PARAMETER = re.compile(r"\{[^}]*\}")
_AT = re.compile(r" - at `\$\.?(?:\.\.\.)?(?P<where>[^`]*)`$")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@cache
def _types() -> Mapping[tuple[str, str], Any]:
    return dict(_found())


def _found() -> Iterator[tuple[tuple[str, str], Any]]:
    for handler in handlers:
        hint = get_type_hints(handler.fn, include_extras=True).get("data")
        if hint is None:
            continue
        wanted = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        for path in handler.paths:
            for method in handler.http_methods:
                yield (str(method), _PARAMETER.sub("{}", path)), wanted


def known(method: str, path: str) -> bool:
    """Whether this release has the resource; `{}` stands for an id."""
    return (method, path) in _types()


def fault(method: str, path: str, body: Mapping[str, Any]) -> tuple[str, tuple[str | int, ...]] | None:
    """What is wrong with a body, and where in it."""
    try:
        msgspec.convert(body, _types()[method, path])
    except msgspec.ValidationError as error:
        text = str(error)
        found = _AT.search(text)
        steps = tuple(_steps(found["where"])) if found else ()
        return _AT.sub("", text), steps or _named_in(text, body)
    return None


def _steps(where: str) -> Iterator[str | int]:
    for name, index in _STEP.findall(where):
        yield name or int(index)


def _named_in(text: str, body: Mapping[str, Any]) -> tuple[str | int, ...]:
    named = re.findall(r"`([^`]+)`", text)
    return next(((name,) for name in named if name in body), ())
