"""Which addresses an answer may be sent to (RFC 9700 section 4.1.3): whole strings, compared as they are.

One exception: the port of a loopback address is free for native clients (RFC 8252 section 7.3).
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlencode

from tenant_runtime.configuration import ClientConfiguration

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?((?:[/?].*)?)")
_SAFE = re.compile(
    r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+"
)  # RFC 3986's characters, and no others
_WEB = re.compile(r"https?://[^/?#@]+(?:[/?].*)?")
_NATIVE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:.+")  # RFC 8252 section 7.1: a reversed domain name


def is_registered(client: ClientConfiguration, address: str) -> bool:
    if not is_safe(address):
        return False
    if address in client.callbacks:
        return True
    return client.app_type == "native" and _fits_loopback(address, client.callbacks)


def is_safe(address: str) -> bool:
    """Fit to be redirected to at all: also where something else was registered once."""
    if not _SAFE.fullmatch(address) or "#" in address:
        return False
    return bool(_WEB.fullmatch(address) or _NATIVE.fullmatch(address))


def _fits_loopback(address: str, registered: Iterable[str]) -> bool:
    asked = _LOOPBACK.fullmatch(address)
    if asked is None:
        return False
    known = filter(None, map(_LOOPBACK.fullmatch, registered))
    return any(match.groups() == asked.groups() for match in known)


def with_query(address: str, parameters: dict[str, str]) -> str:
    if not parameters:
        return address
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{urlencode(parameters, quote_via=quote)}"


def with_fragment(address: str, parameters: dict[str, str]) -> str:
    return f"{address}#{urlencode(parameters, quote_via=quote)}"
