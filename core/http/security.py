"""Who says what in the Authorization header, and the headers every answer carries.

RFC 6750 section 2.1 is the only way a bearer token is accepted: never from a query or a form.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
"""The scheme in any letter case; asking the whole token that way takes ten times as long."""

_DPOP = re.compile(r"[Dd][Pp][Oo][Pp] +([A-Za-z0-9\-._~+/]+=*)")

RawHeaders = Iterable[tuple[bytes, bytes]]


class HeaderMap(Protocol):
    """A framework's header object: names in any letter case, every value of a repeated one."""

    def getall(self, key: str, default: list[str], /) -> list[str]: ...


def header_values(headers: HeaderMap | RawHeaders, name: str) -> list[str]:
    """Every value of a header, from a request's header object or from the raw pairs of an ASGI scope."""
    getall = getattr(headers, "getall", None)  # a Protocol is slow to ask
    if getall is not None:
        return list(getall(name, []))
    pairs = cast(RawHeaders, headers)
    wanted = name.lower().encode("ascii")
    return [value.decode("latin-1") for key, value in pairs if key.lower() == wanted]


def bearer_token(headers: HeaderMap | RawHeaders) -> str | None:
    """The token of exactly one well-formed header. Two headers are none: nobody may choose between them."""
    values = header_values(headers, "authorization")
    if len(values) != 1:
        return None
    found = _BEARER.fullmatch(values[0].strip())
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class ShownToken:
    """An access token as a request shows it."""

    token: str
    is_dpop: bool
    """With the scheme DPoP (RFC 9449 section 7.1): then a proof belongs to it, which the header does not hold."""


def shown_token(headers: HeaderMap | RawHeaders) -> ShownToken | None:
    """Of exactly one well-formed header, with the scheme Bearer or DPoP."""
    values = header_values(headers, "authorization")
    if len(values) != 1:
        return None
    value = values[0].strip()
    if (bearer := _BEARER.fullmatch(value)) is not None:
        return ShownToken(bearer[1], is_dpop=False)
    dpop = _DPOP.fullmatch(value)
    return ShownToken(dpop[1], is_dpop=True) if dpop is not None else None


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
