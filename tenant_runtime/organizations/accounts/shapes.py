"""Bodies and queries, as the client sends them."""

from typing import Any

import msgspec


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


class NoBody(msgspec.Struct, frozen=True):
    """Whatever is in it."""


Answer = dict[str, Any]
