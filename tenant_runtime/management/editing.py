"""Bodies: their limits, what a PATCH names, how objects merge. The same for every resource.

A body is a msgspec struct with `forbid_unknown_fields`, so a member that is unknown or the server's own (`user_id`,
`is_system`, `created_at`, ...) is refused by being absent from it. What a PATCH does not name is `UNSET`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.errors import InvalidInput
from core.tenants import Tenant

T = TypeVar("T")

Maybe: TypeAlias = T | UnsetType
"""A member that may be left out."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
ShortText: TypeAlias = Annotated[str, Meta(max_length=500)]
LongText: TypeAlias = Annotated[str, Meta(max_length=2048)]
Address: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2048)]
Addresses: TypeAlias = Annotated[list[Address], Meta(max_length=100)]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Labels: TypeAlias = Annotated[list[Annotated[str, Meta(min_length=1, max_length=63)]], Meta(max_length=50)]
Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=2_592_000)]
Object: TypeAlias = dict[str, Any]

MAX_MEMBERS = 50
MAX_OBJECT = 16 * 1024
MAX_DEPTH = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every body has in common."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            _check(name, getattr(self, name))


def _check(name: str, value: Any) -> None:
    match value:
        case str() if "\0" in value or (name not in MULTILINE and _CONTROL.search(value)):
            raise ValueError(f"`{name}` must not contain control characters")
        case dict() | list() if is_deeper(value, MAX_DEPTH):
            raise ValueError(f"`{name}` must be nested {MAX_DEPTH} deep at most")
        case dict() if len(value) > MAX_MEMBERS or len(msgspec.json.encode(value)) > MAX_OBJECT:
            raise ValueError(f"`{name}` must have {MAX_MEMBERS} members and {MAX_OBJECT} bytes at most")


def is_deeper(value: Any, levels: int) -> bool:
    """Never goes deeper than it allows itself, so that no depth is too much for it."""
    match value:
        case dict():
            return levels == 0 or any(is_deeper(item, levels - 1) for item in value.values())
        case list():
            return levels == 0 or any(is_deeper(item, levels - 1) for item in value)
    return False


MULTILINE = frozenset({"description", "password", "custom_login_page", "form_template", "pem"})


def named(body: Body) -> dict[str, Any]:
    """The members that the caller named, as plain values."""
    members = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: msgspec.to_builtins(value) for name, value in members.items() if value is not UNSET}


def merged(old: Mapping[str, Any], new: Mapping[str, Any] | None) -> dict[str, Any]:
    """First level only; a member that is null goes, an object that is null is emptied."""
    if new is None:
        return {}
    result = {name: value for name, value in {**old, **new}.items() if value is not None}
    if len(result) > MAX_MEMBERS:
        raise InvalidInput(f"An object of metadata may have {MAX_MEMBERS} members.")
    return result


def check_labels(tenant: Tenant, labels: Maybe[list[str]]) -> None:
    """Which tenants an entity goes to is said on tenant one, and nowhere else."""
    if labels is not UNSET and not tenant.is_control_plane:
        raise InvalidInput("`labels` belong to entities of the control plane.")
