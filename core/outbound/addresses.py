"""Where a call outward may go: https, a name or a public address, a port that web servers have."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

MAX_LENGTH = 2048
HTTPS_PORT = 443
LAST_PORT = 65_535
FIRST_FREE_PORT = 1024
"""Below it only 443: 22, 25 and their kin speak protocols that a request could be made to look like."""

MAIL_PORTS = (465, 587)
"""For who hands letters in (RFC 8314); between servers it is 25, which nobody may have called without being trusted."""

_INSIDE_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "onion")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SPECIAL_V6 = (IPv6Network("2002::/16"), IPv6Network("2001::/23"), IPv6Network("3fff::/20"))
"""6to4 and Teredo, in which an address inside may be spelled, and what is for documents and protocols."""

_SPECIAL_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv4Network("168.63.129.16/32"))
"""Protocol assignments and 6to4 relays; clouds have services of the machine's own in the first and at the last."""


class OutboundRefused(Exception):
    """The address may not be called. The sentence may be shown to whoever chose it: it tells nothing of the network."""


def check_address(url: str, allowed: Collection[str] = ()) -> SplitResult:
    """Syntax only, for when an address is saved: nothing is looked up. `allowed` are `host:port` that may be called
    whatever they are, plain http included."""
    parts = _split(url)
    host, port = parts.hostname or "", port_of(parts)
    if f"{host}:{port}" in allowed and parts.scheme in ("http", "https"):
        return parts
    if parts.scheme != "https":
        raise OutboundRefused("The address must begin with https://.")
    if port != HTTPS_PORT and port < FIRST_FREE_PORT:
        raise OutboundRefused("The address has a port that is not used for the web.")
    _check_host(host)
    return parts


def check_mail_server(host: str, port: int, allowed: Collection[str] = ()) -> None:
    """As `check_address`, for a server that takes letters."""
    if f"{host}:{port}" in allowed:
        return
    if port not in MAIL_PORTS and not FIRST_FREE_PORT <= port <= LAST_PORT:
        raise OutboundRefused("The port is not one at which letters are handed in: 465, 587 or 2525.")
    if host != host.lower() or not host.isascii():
        raise OutboundRefused("The host of the address is malformed.")
    _check_host(host)


def port_of(parts: SplitResult) -> int:
    return parts.port or (HTTPS_PORT if parts.scheme == "https" else 80)


def _split(url: str) -> SplitResult:
    if len(url) > MAX_LENGTH or not url.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise OutboundRefused("The address is too long, or holds characters that are not allowed.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OutboundRefused("The address is malformed.") from None
    if not parts.hostname or port == 0 or "\\" in url:
        raise OutboundRefused("The address is malformed.")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise OutboundRefused("The address may hold neither user information nor a fragment.")
    return parts


def _check_host(host: str) -> None:
    address = _literal(host)
    if address is not None:
        if not is_public(address):
            raise OutboundRefused("The address is not a public one.")
        return
    name = host.rstrip(".")
    last = name.rpartition(".")[2]
    if not _HOST.fullmatch(name) or _NUMBER.fullmatch(last):  # decimal, octal and hexadecimal spellings
        raise OutboundRefused("The host of the address is malformed.")
    if "." not in name or any(name == inside or name.endswith(f".{inside}") for inside in _INSIDE_NAMES):
        raise OutboundRefused("The address is not a public one.")


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the whole world may route to it; an address that carries another one is judged by that one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.scope_id is not None or address not in _GLOBAL_UNICAST:
            return False
    special = _SPECIAL_V6 if isinstance(address, IPv6Address) else _SPECIAL_V4
    if any(address in network for network in special):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
