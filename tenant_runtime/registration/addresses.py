"""Which addresses a client that nobody vouches for may name (`specs/bad-inputs.md` 38 and 119)."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from core.errors import InvalidClientMetadata, InvalidRedirectUri
from core.outbound import Outbound, OutboundRefused
from core.settings import is_loopback
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.oauth.authorization.redirect_uris import is_safe

_WEB = re.compile(r"https?://")


def is_native(address: str) -> bool:
    """Of a program on the person's own device (RFC 8252): its own scheme, or a port of the loopback interface."""
    return not _WEB.match(address) or (address.startswith("http://") and is_own_device(address))


def is_own_device(address: str) -> bool:
    return is_loopback(urlsplit(address).hostname or "")


def check_redirects(addresses: Iterable[str]) -> None:
    """https, http on the device itself, or a scheme that is a domain name turned round (RFC 8252 section 7)."""
    for address in addresses:
        if not is_safe(address):
            raise InvalidRedirectUri(
                "A redirect address must be https, http on loopback, or a scheme that is a domain name turned round;"
                " without blanks or fragment."
            )
        if _WEB.match(address) and origin_of(address) is None:
            raise InvalidRedirectUri("A redirect address may hold no user information.")
        if address.startswith("http://") and not is_own_device(address):
            raise InvalidRedirectUri("A redirect address may be without TLS on loopback only.")


def check_link(member: str, address: str | None) -> None:
    """Where a person may be sent to read something: never `javascript:` and its kin."""
    if address is not None and origin_of(address) is None:
        raise InvalidClientMetadata(f"The {member} must be a web address.")


def check_outward(outbound: Outbound, member: str, address: str | None) -> None:
    """What is loaded by this server, or into its pages."""
    if address is None:
        return
    try:
        outbound.check(address)
    except OutboundRefused as refused:
        raise InvalidClientMetadata(f"The {member} is refused. {refused}") from refused
