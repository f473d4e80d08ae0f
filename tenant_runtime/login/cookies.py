"""The cookies of a tenant's host (`specs/protocol.md` section 1).

All are HttpOnly and host-only: `Domain` is never set. On https the sign-on cookie is `SameSite=None`, so that silent
authentication in a frame works; it is read by /authorize, login and logout pages only. The API cookie names the same
session row and is read by `/api/auth` only. On plain http (loopback) names lose their prefix and all are Lax.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from litestar.datastructures import Cookie

from core.ids import digest, new_secret

RawHeaders = Iterable[tuple[bytes, bytes]]

SESSION = "keystead_session"
API = "better-auth.session_token"
BROWSER = "keystead_login"
_SECRET_LENGTH = range(22, 129)


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


def session_cookies(secret: str, *, is_https: bool, max_age: int) -> list[Cookie]:
    return _session_pair(secret, is_https, max_age)


def cleared_session_cookies(*, is_https: bool) -> list[Cookie]:
    return _session_pair("", is_https, 0)


def new_binding() -> str:
    return new_secret()


def binding_cookie(secret: str, *, is_https: bool) -> Cookie:
    """Lax: it is needed by pages of this host, never in a frame. It lasts as long as the browser is open."""
    return _cookie(_name(BROWSER, is_https), secret, is_https, None, lax=True)


def _session_pair(secret: str, is_https: bool, max_age: int) -> list[Cookie]:
    api = f"__Secure-{API}" if is_https else API
    return [
        _cookie(_name(SESSION, is_https), secret, is_https, max_age, lax=not is_https),
        _cookie(api, secret, is_https, max_age, lax=True),
    ]


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
