"""The cookies of a tenant's host (`specs/protocol.md` section 1).

All are HttpOnly and host-only: `Domain` is never set. On https the sign-on cookie is `SameSite=None`, so that silent
authentication in a frame works; it is read by /authorize, login and logout pages only. The API cookie names the same
session and is read by `/api/auth` only (`specs/organization-api.md` B.1): a token that the session row's secret gives,
and its signature. On plain http (loopback) names lose their prefix and all are Lax.
"""

import base64
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from litestar.datastructures import Cookie

from core.crypto.sealing import DataKey
from core.ids import digest, new_secret, text_of

RawHeaders = Iterable[tuple[bytes, bytes]]

SESSION = "keystead_session"
API = "better-auth.session_token"
API_FORGETS = "better-auth.dont_remember"
API_CACHE = "better-auth.session_data"
"""Never set here: a copy of the session would outlive what it copies. Signing out clears it all the same."""

BROWSER = "keystead_login"
_SECRET_LENGTH = range(22, 129)
_TOKEN_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser showed of itself: its session secret and the secret its login transactions are bound to."""

    is_https: bool
    session: str | None
    binding: str | None

    @property
    def session_digest(self) -> str | None:
        return digest(self.session) if self.session else None

    @property
    def binding_digest(self) -> str | None:
        return digest(self.binding) if self.binding else None


def browser_of(headers: RawHeaders, issuer: str) -> Browser:
    is_https = issuer.startswith("https://")
    wanted = {_name(SESSION, is_https), _name(BROWSER, is_https)}
    found = _cookies(headers, wanted)
    return Browser(is_https, found.get(_name(SESSION, is_https)), found.get(_name(BROWSER, is_https)))


def session_cookies(secret: str, data_key: DataKey, *, is_https: bool, max_age: int | None) -> list[Cookie]:
    """`max_age` in seconds; None: they go when the browser is closed."""
    token = api_token(data_key, digest(secret))
    return _session_pair(secret, signed_token(data_key, token), is_https, max_age)


def cleared_session_cookies(*, is_https: bool) -> list[Cookie]:
    return _session_pair("", "", is_https, 0)


def api_sign_in_cookies(
    secret: str, data_key: DataKey, *, is_https: bool, max_age: int | None
) -> list[Cookie]:
    """The pair, as `/api/auth` sets it: beside it the client is told whether the browser forgets it."""
    pair = session_cookies(secret, data_key, is_https=is_https, max_age=max_age)
    forgets = signed_token(data_key, "true") if max_age is None else ""
    lasts = None if max_age is None else 0
    return [*pair, _cookie(_secured(API_FORGETS, is_https), forgets, is_https, lasts, lax=True)]


def cleared_api_cookies(*, is_https: bool) -> list[Cookie]:
    beside = [
        _cookie(_secured(name, is_https), "", is_https, 0, lax=True) for name in (API_CACHE, API_FORGETS)
    ]
    return [*cleared_session_cookies(is_https=is_https), *beside]


def api_token(data_key: DataKey, token_digest: str) -> str:
    """The name of a session to `/api/auth`, which changes with its secret."""
    mac = hmac.digest(data_key.derive("organization API tokens"), token_digest.encode(), "sha512")
    return text_of(mac, _TOKEN_LENGTH)


def signed_token(data_key: DataKey, token: str) -> str:
    """As the cookie has it, percent-encoded."""
    return quote(f"{token}.{_signature(data_key, token)}", safe="")


def api_token_of(headers: RawHeaders, issuer: str, data_key: DataKey) -> str | None:
    """The token that the API cookie shows. None where there is none, or none of this tenant's."""
    name = api_cookie_name(is_https=issuer.startswith("https://"))
    value = unquote(_cookies(headers, {name}).get(name, ""))
    token, dot, signature = value.partition(".")
    if not dot or not signature.isascii():
        return None
    return token if hmac.compare_digest(signature, _signature(data_key, token)) else None


def api_cookie_name(*, is_https: bool) -> str:
    return _secured(API, is_https)


def new_binding() -> str:
    return new_secret()


def binding_cookie(secret: str, *, is_https: bool) -> Cookie:
    """Lax: it is needed by pages of this host, never in a frame. It lasts as long as the browser is open."""
    return _cookie(_name(BROWSER, is_https), secret, is_https, None, lax=True)


def _session_pair(secret: str, signed: str, is_https: bool, max_age: int | None) -> list[Cookie]:
    return [
        _cookie(_name(SESSION, is_https), secret, is_https, max_age, lax=not is_https),
        _cookie(api_cookie_name(is_https=is_https), signed, is_https, max_age, lax=True),
    ]


def _signature(data_key: DataKey, token: str) -> str:
    mac = hmac.digest(data_key.derive("organization API cookies"), token.encode(), "sha256")
    return base64.b64encode(mac).decode()


def _cookie(name: str, value: str, is_https: bool, max_age: int | None, *, lax: bool) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=max_age,
        httponly=True,
        secure=is_https,
        samesite="lax" if lax else "none",
    )


def _secured(name: str, is_https: bool) -> str:
    return f"__Secure-{name}" if is_https else name


def _name(name: str, is_https: bool) -> str:
    return f"__Host-{name}" if is_https else name


def _cookies(headers: RawHeaders, wanted: set[str]) -> dict[str, str]:
    """A name that comes twice was tossed by somebody else: then there is no such cookie."""
    found: dict[str, str] = {}
    repeated: set[str] = set()
    for header, value in headers:
        if header != b"cookie":
            continue
        for part in value.decode("latin-1").split(";"):
            name, _, text = part.strip().partition("=")
            if name in wanted:
                repeated.update({name} & found.keys())
                found[name] = text.strip('"')
    return {
        name: text for name, text in found.items() if name not in repeated and len(text) in _SECRET_LENGTH
    }
