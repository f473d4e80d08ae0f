"""Takes the steps of `management_steps` with auth0-python."""

from collections.abc import Iterable
from functools import reduce
from inspect import signature
from typing import Any

from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError
from auth0.management.core.pagination import SyncPager
from pydantic import BaseModel

from tests.clients.management_step import Step


def take(client: ManagementClient, steps: Iterable[Step], kept: dict[str, Any]) -> int:
    """How many there were."""
    count = 0
    for step in steps:
        result = _called(client, step, kept)
        if step["fails"]:
            assert result == step["fails"], (step, result)
        elif step["holds"] is not None:
            wanted = resolved(step["holds"], kept)
            result = next((item for item in _items(result) if _has(item, wanted)), None)
            assert result is not None, step
        elif step["gives"] is not None:
            assert _has(result, resolved(step["gives"], kept)), (step, result)
        if step["as"]:
            kept[step["as"]] = result
        count += 1
    return count


def _called(client: ManagementClient, step: Step, kept: dict[str, Any]) -> Any:
    method: Any = client
    for name in step["do"].split("."):
        method = getattr(method, name)
    try:
        said = resolved({} if step["with"] is None else step["with"], kept)
        is_whole = "request" in signature(method).parameters  # where bodies are of several types
        return method(*resolved(step["of"], kept), **({"request": said} if is_whole else said))
    except ApiError as error:
        if not step["fails"]:
            raise AssertionError(f"{step}: {error.status_code} {error.body}") from error
        return error.status_code


def resolved(value: Any, kept: dict[str, Any]) -> Any:
    match value:
        case str() if value.startswith("$") and "." in value:
            name, *members = value[1:].split(".")
            return reduce(_member, members, kept[name])
        case {"$file": text}:
            return ("users.json", text.encode(), "application/json")
        case dict():
            return {name: resolved(item, kept) for name, item in value.items()}
        case list():
            return [resolved(item, kept) for item in value]
    return value


def _items(result: Any) -> list[Any]:
    """Of all pages, where there are pages."""
    if isinstance(result, SyncPager):
        return list(result)
    return list(getattr(result, "enabled_connections", result))


def _member(thing: Any, name: str) -> Any:
    if isinstance(thing, list):
        return thing[int(name)]
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


def _has(thing: Any, wanted: dict[str, Any]) -> bool:
    return all(_plain(_member(thing, name)) == value for name, value in wanted.items())


def _plain(value: Any) -> Any:
    """As it was on the wire."""
    match value:
        case BaseModel():
            return value.model_dump(by_alias=True, exclude_unset=True)
        case list():
            return [_plain(item) for item in value]
    return value
