"""Bodies and queries, as the client sends them."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tenant_runtime.organizations.wire import ApiError, refusal


class SignUpBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    email: str
    password: str
    image: str | None = None
    callback_url: str | None = msgspec.field(default=None, name="callbackURL")
    remember_me: bool = True


class SignInBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    email: str
    password: str
    callback_url: str | None = msgspec.field(default=None, name="callbackURL")
    remember_me: bool = True


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """There is no cookie cache to be disabled."""

    disable_refresh: bool = False


class RevokeBody(msgspec.Struct, frozen=True):
    token: str


class UpdateSessionBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a session is known to have: each is refused where it is there at all."""

    id: Any = UNSET
    user_id: Any = UNSET
    token: Any = UNSET
    expires_at: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET
    ip_address: Any = UNSET
    user_agent: Any = UNSET
    active_organization_id: Any = UNSET
    active_team_id: Any = UNSET


class UpdateUserBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`email` is refused where it is there at all."""

    name: str | UnsetType = UNSET
    image: str | UnsetType | None = UNSET
    email: Any = UNSET


class ChangePasswordBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    current_password: str
    new_password: str
    revoke_other_sessions: bool = False


class VerifyPasswordBody(msgspec.Struct, frozen=True):
    password: str


class RequestResetBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    email: str
    redirect_to: str | None = None


class CallbackQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`token`: that of a link."""

    token: str = ""
    callback_url: str | None = msgspec.field(default=None, name="callbackURL")


class ResetPasswordBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`token` may stand in the query as well."""

    new_password: str
    token: str | None = None


class SendVerificationBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    email: str
    callback_url: str | None = msgspec.field(default=None, name="callbackURL")


class ChangeEmailBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    new_email: str
    callback_url: str | None = msgspec.field(default=None, name="callbackURL")


class DeleteUserBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`token`: of a letter that nobody sends."""

    password: str | None = None
    token: str | None = None
    callback_url: str | None = msgspec.field(default=None, name="callbackURL")


Answer = dict[str, Any]


def no_address(member: str) -> ApiError:
    """What a body says is an address is none: only a sign-in has a code for it."""
    return refusal(400, "VALIDATION_ERROR", f"[body.{member}] Invalid email address")
