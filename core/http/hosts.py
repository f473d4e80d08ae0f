"""Which host was asked, over which scheme, by whom (`specs/tenancy.md` section 3).

A host is compared lower-case, as A-labels, without port and trailing dot. What proxies add is believed only
of proxies that the installation names, and only when it is not ambiguous.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import idna

from core.errors import InvalidInput
from core.http.security import RawHeaders, header_values

_PORT = re.compile(r"(.*?)(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_MAX_HOST = 253

Networks = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """`host` is empty when what was sent cannot be anybody's host: no tenant has it. `scheme` is None when no
    trusted proxy says it."""

    host: str
    scheme: str | None
    client_ip: str


class InvalidHost(InvalidInput):
    """No host, or more than one: nobody may choose between them."""

    code = "invalid_host"


def canonical_host(raw: bytes | str) -> str | None:
    """`ACME.Example.com.:8443` is `acme.example.com`; whatever is malformed is None."""
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        return None
    if not text or len(text) > _MAX_HOST + 7:
        return None
    if text.startswith("["):
        return _ipv6_literal(text)
    found = _PORT.fullmatch(text)
    if found is None or not _is_port(found[2]):
        return None
    host = _a_labels(found[1])
    if host is None or len(host) > _MAX_HOST:
        return None
    return host if all(_LABEL.fullmatch(label) for label in host.split(".")) else None


def _a_labels(host: str) -> str | None:
    """Names in other scripts, full-width forms and letter case as DNS sees them (UTS 46, RFC 5891)."""
    folded = host.lower().removesuffix(".")
    if folded.isascii():
        return folded
    try:
        return idna.encode(folded, uts46=True, std3_rules=True).decode("ascii").removesuffix(".")
    except idna.IDNAError:
        return None


def _is_port(port: str | None) -> bool:
    return not port or 0 < int(port) <= 65535


def _ipv6_literal(text: str) -> str | None:
    literal, bracket, rest = text[1:].partition("]")
    if not bracket or not re.fullmatch(r"(?::[0-9]{0,5})?", rest) or not _is_port(rest[1:]):
        return None
    try:
        return IPv6Address(literal).compressed
    except ValueError:
        return None


def forwarded(headers: RawHeaders, peer: str, trusted_proxies: Networks) -> Forwarded:
    """RFC 9112 section 3.2: a request without exactly one Host is malformed. The same is asked of the
    `X-Forwarded-*` headers of a trusted proxy; anybody else's are not looked at."""
    pairs = list(headers)
    host = _exactly_one(header_values(pairs, "host"), "Host")
    if not trusted_proxies or not _is_trusted(peer, trusted_proxies):
        return Forwarded(_host(host), None, peer)
    outer = _at_most_one(pairs, "X-Forwarded-Host")
    scheme = _at_most_one(pairs, "X-Forwarded-Proto")
    if scheme is not None and scheme.lower() not in ("http", "https"):
        raise InvalidHost("The X-Forwarded-Proto header is malformed.")
    client = _client_ip(header_values(pairs, "x-forwarded-for"), peer, trusted_proxies)
    return Forwarded(_host(outer or host), scheme.lower() if scheme else None, client)


@lru_cache(4096)
def _host(value: str) -> str:
    """Header values are bytes; the servers' latin-1 reading of them is undone."""
    return canonical_host(value.encode("latin-1")) or ""


def _exactly_one(values: list[str], name: str) -> str:
    if len(values) != 1 or not values[0]:
        raise InvalidHost(f"The request must have exactly one {name} header.")
    return values[0]


def _at_most_one(pairs: list[tuple[bytes, bytes]], name: str) -> str | None:
    values = header_values(pairs, name)
    if len(values) > 1 or any("," in value for value in values):
        raise InvalidHost(f"The request must have one {name} at most.")
    return values[0].strip() or None if values else None


def _client_ip(chain: list[str], peer: str, trusted: Networks) -> str:
    """From the right, as each proxy appended it: the first address that is no trusted proxy is the client."""
    nearest = peer
    for part in reversed([part.strip() for value in chain for part in value.split(",")]):
        address = _address(part)
        if address is None:
            return nearest
        nearest = str(address)
        if not _is_trusted(nearest, trusted):
            return nearest
    return nearest


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(peer: str, trusted: Iterable[IPv4Network | IPv6Network]) -> bool:
    address = _address(peer)
    return address is not None and any(address in network for network in trusted)


def origin_of(url: str) -> str | None:
    """`https://app.example.com/callback?x=1` is `https://app.example.com`; None for what has no web
    origin."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return None
    if split.scheme not in ("http", "https") or not split.hostname:
        return None
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    default = {"http": 80, "https": 443}[split.scheme]
    return f"{split.scheme}://{host}" + ("" if port in (None, default) else f":{port}")
