"""Which claims about a user go where (OpenID Connect Core 1.0, sections 5.1, 5.4 and 5.5).

Claims that a scope stands for come from /userinfo. The ID token carries only what its own part of the `claims`
parameter names, so that it stays small and is not a copy of the profile; a client that shows names without asking
/userinfo, as Auth0's browser SDKs do, has the claims of its scopes there too (`jwt_configuration.scope_claims`).

Claims that are not of the standard, and values that a user's profile lacks, are left out; an essential claim that is
missing is no error (section 5.5.1).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Row

from tenant_runtime.organizations.claims import ASKED, PLACES

User = Row[Any]

SCOPE_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
        "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}  # fmt: skip

_SCOPES = {**SCOPE_CLAIMS, **{name: (name,) for name in ASKED}}
"""With those about an organization (`organizations.claims`): scopes of the claims' own names."""

STANDARD_CLAIMS = tuple(name for names in SCOPE_CLAIMS.values() for name in names)

_COLUMNS: Mapping[str, Callable[[User], Any]] = {
    "name": lambda user: user.name,
    "family_name": lambda user: user.family_name,
    "given_name": lambda user: user.given_name,
    "nickname": lambda user: user.nickname,
    "preferred_username": lambda user: user.username,
    "picture": lambda user: user.picture,
    "updated_at": lambda user: user.updated_at // 1000,
    "email": lambda user: user.email,
    "email_verified": lambda user: bool(user.email_verified) if user.email else None,
    "phone_number": lambda user: user.phone_number,
    "phone_number_verified": lambda user: bool(user.phone_verified) if user.phone_number else None,
}
"""The claims that have a column; the others are members of the user's `profile`."""


def userinfo_claims(user: User, scope: Iterable[str], requested: Mapping[str, Any] | None) -> dict[str, Any]:
    return _values(user, (*_of_scope(scope), *_named(requested, "userinfo")))


def id_token_claims(
    user: User, requested: Mapping[str, Any] | None, scope: Iterable[str] = ()
) -> dict[str, Any]:
    """`scope`: where the client wants the claims that stand for it."""
    return _values(user, (*_of_scope(scope), *_named(requested, "id_token")))


def scopes_of(requested: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The scopes that stand for claims that are named one by one: what the person is asked for."""
    named = {name for where in PLACES for name in _named(requested, where)}
    return tuple(scope for scope, names in _SCOPES.items() if not named.isdisjoint(names))


def within(requested: Mapping[str, Any], scopes: Iterable[str]) -> dict[str, Any]:
    """Without the claims that other scopes stand for."""
    others = {*STANDARD_CLAIMS, *ASKED}.difference(_of_scope(scopes))
    return {
        where: {name: value for name, value in part.items() if name not in others}
        for where, part in requested.items()
    }


def _of_scope(scope: Iterable[str]) -> list[str]:
    return [name for item in scope for name in _SCOPES.get(item, ())]


def _named(requested: Mapping[str, Any] | None, where: str) -> tuple[str, ...]:
    part = (requested or {}).get(where)
    return tuple(part) if isinstance(part, Mapping) else ()


def _values(user: User, names: Iterable[str]) -> dict[str, Any]:
    values = {name: _value(user, name) for name in dict.fromkeys(names) if name in STANDARD_CLAIMS}
    return {name: value for name, value in values.items() if value is not None}


def _value(user: User, name: str) -> Any:
    column = _COLUMNS.get(name)
    if column is not None:
        return column(user)
    value = user.profile.get(name)
    return value if isinstance(value, dict if name == "address" else str) and value else None
