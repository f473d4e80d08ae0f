"""Statements (resource -> actions) and the roles made of them (`specs/organization-api.md` C.1 and C.2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tenant_runtime.organizations.options import OrganizationOptions

Statements = Mapping[str, frozenset[str]]
Permissions = Mapping[str, Sequence[str]]

OWNER, ADMIN, MEMBER, GUEST = "owner", "admin", "member", "guest"

_ALL: Statements = {
    "organization": frozenset({"update", "delete"}),
    "member": frozenset({"create", "update", "delete"}),
    "invitation": frozenset({"create", "cancel"}),
    "team": frozenset({"create", "update", "delete"}),
    "ac": frozenset({"create", "read", "update", "delete"}),
}
_BUILT_IN: Mapping[str, Statements] = {
    OWNER: _ALL,
    ADMIN: {**_ALL, "organization": frozenset({"update"})},
    MEMBER: {"ac": frozenset({"read"})},
    GUEST: {},
}


def built_in_names(options: OrganizationOptions) -> frozenset[str]:
    """Of the roles that every organization has, and none defines anew."""
    return frozenset(_BUILT_IN) | options.roles.keys()


def resources(options: OrganizationOptions) -> Statements:
    """Everything that can be permitted at all."""
    return _joined(_ALL, _frozen(options.statements))


def of_roles(
    names: Iterable[str], options: OrganizationOptions, stored: Mapping[str, Mapping[str, Any]]
) -> list[Statements]:
    """What each of a member's roles permits. `stored` are the roles that the organization defined, as their rows have
    them; they add to a built-in one of the same name."""
    return [_of_role(name, options, stored) for name in dict.fromkeys(names)]


def permits(roles: Iterable[Statements], asked: Permissions) -> bool:
    """Whether one role alone has every pair. Nothing asked is never granted."""
    if not asked or not all(asked.values()):
        return False
    return any(_has_all(role, asked) for role in roles)


def missing(roles: Iterable[Statements], asked: Permissions) -> list[str]:
    """The pairs (`team:create`) that no role of the member's holds: what they may not hand on."""
    held = list(roles)
    return [
        f"{resource}:{action}"
        for resource, actions in asked.items()
        for action in actions
        if not any(action in role.get(resource, ()) for role in held)
    ]


def _of_role(name: str, options: OrganizationOptions, stored: Mapping[str, Mapping[str, Any]]) -> Statements:
    known = _joined(_BUILT_IN.get(name, {}), _frozen(options.roles.get(name, {})))
    return _joined(known, _frozen(stored.get(name, {})))


def _has_all(role: Statements, asked: Permissions) -> bool:
    return all(role.get(resource, frozenset()).issuperset(actions) for resource, actions in asked.items())


def _frozen(statements: Mapping[str, Iterable[str]]) -> Statements:
    return {resource: frozenset(actions) for resource, actions in statements.items()}


def _joined(one: Statements, other: Statements) -> Statements:
    return {
        name: one.get(name, frozenset()) | other.get(name, frozenset()) for name in one.keys() | other.keys()
    }
