"""What may be said of a user, and how one is shown."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, to_builtins

from core.clock import to_iso
from core.errors import InvalidInput
from tenant_runtime.connections.options import DatabaseOptions
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.password_rules import problem_of
from tenant_runtime.management.addresses import check_link
from tenant_runtime.management.editing import Body, Id, LongText, Maybe, Object

Email = Annotated[str, Meta(min_length=3, max_length=254)]
Username = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\w.+\-!#$^`~@']+$")]
Phone = Annotated[str, Meta(pattern=r"^\+[0-9]{1,15}$")]
Text = Maybe[Annotated[str, Meta(max_length=300)] | None]

_PROBLEMS = {
    "password_missing": "The password is empty.",
    "password_long": "The password is too long.",
    "password_short": "The password is too short.",
    "password_common": "The password is too easy to guess.",
}


class _Said(Body):
    """What a new user and a change have in common."""

    connection: Maybe[Id] = UNSET
    email: Maybe[Email] = UNSET
    email_verified: Maybe[bool] = UNSET
    verify_email: Maybe[bool] = UNSET
    password: Maybe[Annotated[str, Meta(max_length=4096)]] = UNSET
    username: Maybe[Username | None] = UNSET
    phone_number: Maybe[Phone | None] = UNSET
    phone_verified: Maybe[bool] = UNSET
    name: Text = UNSET
    given_name: Text = UNSET
    family_name: Text = UNSET
    nickname: Text = UNSET
    picture: Maybe[LongText | None] = UNSET
    user_metadata: Maybe[Object | None] = UNSET
    app_metadata: Maybe[Object | None] = UNSET
    blocked: Maybe[bool] = UNSET


class UserPatch(_Said):
    client_id: Maybe[Id] = UNSET
    verify_phone_number: Maybe[bool] = UNSET


class UserIn(_Said, kw_only=True):
    email: Email


class RolesBody(Body):
    roles: Annotated[list[Id], Meta(min_length=1, max_length=100)]


def check(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members with the address in its one spelling; raises for what the types cannot say."""
    checked = dict(members)
    if "email" in checked:
        checked["email"] = normal_email(checked["email"])
        if not is_email(checked["email"]):
            raise InvalidInput("`email` is no e-mail address.")
    check_link("picture", checked.get("picture"))
    return checked


def check_password(password: str, rules: DatabaseOptions, *names: str | None) -> None:
    known = (name for name in (*names, *rules.blocked_words) if name)
    problem = problem_of(password, *known, least=rules.least_length)
    if problem is not None:
        raise InvalidInput(_PROBLEMS[problem], code="password_strength_error")


class IdentityOut(
    Struct,
    frozen=True,
    gc=False,
    omit_defaults=True,
    rename={"is_social": "isSocial", "profile": "profileData"},
):
    """`profile`: what is kept of the account that a linked identity was."""

    connection: str
    provider: str
    user_id: str
    is_social: bool
    profile: Object | None = None


class UserOut(Struct, frozen=True, gc=False, omit_defaults=True):
    """What has no value is left out, as Auth0 does. Nothing in it leads back to it."""

    user_id: str
    email: str | None
    email_verified: bool
    user_metadata: Object
    app_metadata: Object
    blocked: bool
    logins_count: int
    created_at: str
    updated_at: str
    identities: list[IdentityOut]
    username: str | None = None
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    nickname: str | None = None
    picture: str | None = None
    last_ip: str | None = None
    phone_number: str | None = None
    phone_verified: bool | None = None
    last_login: str | None = None


def listed(row: Any, identities: Sequence[Any]) -> UserOut:
    """One of a page of them. In the order of the struct: names cost as much as the values."""
    return UserOut(
        row.user_id,
        row.email,
        row.email_verified,
        row.user_metadata,
        row.app_metadata,
        row.blocked,
        row.logins_count,
        to_iso(row.created_at),
        to_iso(row.updated_at),
        [
            IdentityOut(
                link.connection,
                link.provider,
                link.provider_user_id,
                link.is_social,
                link.profile_data or None,
            )
            for link in identities
        ],
        row.username,
        row.name,
        row.given_name,
        row.family_name,
        row.nickname,
        row.picture,
        row.last_ip,
        row.phone_number,
        None if row.phone_number is None else row.phone_verified,
        None if row.last_login_at is None else to_iso(row.last_login_at),
    )


def shape(row: Any, identities: Sequence[Any] = ()) -> dict[str, Any]:
    shown: dict[str, Any] = to_builtins(listed(row, identities))
    return shown
