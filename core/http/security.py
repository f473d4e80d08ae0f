"""Who says what in the Authorization header, and the headers every answer carries.

RFC 6750 section 2.1 is the only way a bearer token is accepted: never from a query or a form.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)

RawHeaders = Iterable[tuple[bytes, bytes]]


@runtime_checkable
class HeaderMap(Protocol):
    """A framework's header object: names in any letter case, every value of a repeated one."""

    def getall(self, key: str, default: list[str], /) -> list[str]: ...


def header_values(headers: HeaderMap | RawHeaders, name: str) -> list[str]:
    """Every value of a header, from a request's header object or from the raw pairs of an ASGI scope."""
    if not isinstance(headers, list) and isinstance(headers, HeaderMap):  # a Protocol is slow to ask
        return list(headers.getall(name, []))
    wanted = name.lower().encode("ascii")
    return [value.decode("latin-1") for key, value in headers if key.lower() == wanted]


def bearer_token(headers: HeaderMap | RawHeaders) -> str | None:
    """The token of exactly one well-formed header. Two headers are none: nobody may choose between them."""
    values = header_values(headers, "authorization")
    if len(values) != 1:
        return None
    found = _BEARER.fullmatch(values[0].strip())
    return found[1] if found else None


def is_equal(one: str, other: str) -> bool:
    """In constant time, whatever the characters."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 section 5.1: on every answer with a token, a code, a cookie or an error."""

API_HEADERS: Mapping[str, str] = {
    **NO_STORE,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

TLS_HEADERS: Mapping[str, str] = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
"""Only when the installation's own scheme is https."""


def page_headers(
    *,
    style: str = "'self'",
    image: str = "'self' data:",
    script: str = "'none'",
    connect: str = "'none'",
    form_action: str = "'self'",
    frame_ancestors: str = "'none'",
) -> dict[str, str]:
    """For pages that people see: nothing is loaded, framed or submitted that is not named (RFC 9700 section
    4.16).

    `form_action` also governs where a form's answer may redirect to, so a login form names the client's
    origin.
    """
    directives = {
        "default-src": "'none'",
        "base-uri": "'none'",
        "style-src": style,
        "img-src": image,
        "script-src": script,
        "connect-src": connect,
        "form-action": form_action,
        "frame-ancestors": frame_ancestors,
    }
    headers = {
        **NO_STORE,
        "Content-Security-Policy": "; ".join(
            f"{name} {_source(value)}" for name, value in directives.items()
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return headers if frame_ancestors != "'none'" else {**headers, "X-Frame-Options": "DENY"}


def _source(value: str) -> str:
    """A source list may come from a client's addresses: it must not end its directive or the header."""
    if re.search(r"[;,\x00-\x1f\x7f]|[^\x20-\x7e]", value):
        raise ValueError("A source of the content security policy has a forbidden character.")
    return value
