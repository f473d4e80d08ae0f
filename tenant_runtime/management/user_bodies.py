"""What may be said of a user, and how one is shown."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta
from sqlalchemy import Row

from core.clock import to_iso
from core.errors import InvalidInput
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


class UserPatch(Body):
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


class UserIn(UserPatch, kw_only=True):
    email: Email


class RolesBody(Body):
    roles: Annotated[list[Id], Meta(min_length=1, max_length=100)]


_OPTIONAL = ("username", "name", "given_name", "family_name", "nickname", "picture", "last_ip")


def check(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members with the address in its one spelling; raises for what the types cannot say."""
    checked = dict(members)
    if "email" in checked:
        checked["email"] = normal_email(checked["email"])
        if not is_email(checked["email"]):
            raise InvalidInput("`email` is no e-mail address.")
    check_link("picture", checked.get("picture"))
    return checked


def check_password(password: str, *names: str | None) -> None:
    problem = problem_of(password, *(name for name in names if name))
    if problem is not None:
        raise InvalidInput(_PROBLEMS[problem], code="password_strength_error")


def shape(row: Row[Any], identities: Sequence[Row[Any]] = ()) -> dict[str, Any]:
    """Built in one go: a list of fifty is made of these. What has no value is left out, as Auth0 does."""
    created = to_iso(row.created_at)
    shown: dict[str, Any] = {
        "user_id": row.user_id,
        "email": row.email,
        "email_verified": row.email_verified,
        "user_metadata": row.user_metadata,
        "app_metadata": row.app_metadata,
        "blocked": row.blocked,
        "logins_count": row.logins_count,
        "created_at": created,
        "updated_at": created if row.updated_at == row.created_at else to_iso(row.updated_at),
        "identities": [_identity(identity) for identity in identities],
    }
    optional = (
        row.username,
        row.name,
        row.given_name,
        row.family_name,
        row.nickname,
        row.picture,
        row.last_ip,
    )
    shown.update((name, value) for name, value in zip(_OPTIONAL, optional, strict=True) if value is not None)
    if row.phone_number is not None:
        shown["phone_number"], shown["phone_verified"] = row.phone_number, row.phone_verified
    if row.last_login_at is not None:
        shown["last_login"] = to_iso(row.last_login_at)
    return shown


def _identity(row: Row[Any]) -> dict[str, Any]:
    return {
        "connection": row.connection,
        "provider": row.provider,
        "user_id": row.provider_user_id,
        "isSocial": row.is_social,
    }
