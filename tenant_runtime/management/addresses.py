"""Which addresses a client may register (`specs/bad-inputs.md` 38; RFC 8252 section 7.1, RFC 9700 section 4.1).

What is refused here is refused again where it would be used; but an application learns of it when it registers.
"""

import re
from collections.abc import Iterable

from core.errors import InvalidInput
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.oauth.authorization.redirect_uris import is_safe

_USER_INFORMATION = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@")


def check_callbacks(member: str, addresses: Iterable[str]) -> None:
    for address in addresses:
        if not is_safe(address) or _USER_INFORMATION.match(address):
            raise InvalidInput(
                f"`{member}` may hold http and https addresses, and schemes that are a domain name turned round"
                " (com.example.app:/callback); without blanks, fragment or user information."
            )


def check_origins(member: str, origins: Iterable[str]) -> None:
    for origin in origins:
        found = origin_of(origin)
        if found is None or origin.rstrip("/").lower() != found:
            raise InvalidInput(f"`{member}` may hold origins only: scheme, host and port.")


def check_link(member: str, address: str | None, *, schemes: tuple[str, ...] = ("https", "http")) -> None:
    """An address that a browser is sent to or loads from: never `javascript:` and its kin."""
    if not address:
        return
    origin = origin_of(address)
    if origin is None or origin.partition(":")[0] not in schemes:
        raise InvalidInput(f"`{member}` must be a web address.")
