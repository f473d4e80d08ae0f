"""The values settings have: how each is read from a variable's text.

A parser answers the value or raises ValueError with the words that complete "<VARIABLE> ...".
"""

import base64
import binascii
import json
import math
import re
import string
from collections.abc import Callable, Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from core import failpoints as points

TEMPLATE_FIELDS = ("id", "display_name")
"""What a settings template may name of its tenant."""

SMTP_SCHEMES = ("smtp", "smtps", "smtp+plain")

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SettingsError(Exception):
    """The start is refused, with a sentence for whoever set the variable."""


class Secret:
    """A value that does not show itself in a repr, a traceback's arguments or a log line."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"


def parsed(name: str, value: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(value.strip())
    except ValueError as error:
        raise SettingsError(f"{name} {error}.") from None


def text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def path(value: str) -> Path:
    return Path(text(value))


def boolean(value: str) -> bool:
    match value.lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
    raise ValueError("must be true or false")


def natural(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", value):
        raise ValueError("must be a whole number")
    return int(value)


def positive_int(value: str) -> int:
    number = natural(value)
    if number < 1:
        raise ValueError("must be a whole number of at least 1")
    return number


def port(value: str) -> int:
    number = positive_int(value)
    if number > 65535:
        raise ValueError("must be a port (1 to 65535)")
    return number


def memory_kib(value: str) -> int:
    number = natural(value)
    if number < 8:
        raise ValueError("must be at least 8")
    return number


def not_negative(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise ValueError("must be a number that is not negative")
    return number


def positive(value: str) -> float:
    number = not_negative(value)
    if number == 0:
        raise ValueError("must be a number greater than 0")
    return number


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def words(value: str) -> frozenset[str]:
    return frozenset(names(value))


def lower_words(value: str) -> frozenset[str]:
    return frozenset(name.lower() for name in names(value))


def hosts_with_ports(value: str) -> frozenset[str]:
    """As `core.outbound.addresses` compares them: an address of IPv6 without brackets."""
    return frozenset(_host_with_port(name.lower()) for name in names(value))


def _host_with_port(value: str) -> str:
    try:
        split = urlsplit(f"//{value}")
        host, port = split.hostname, split.port
    except ValueError:
        host = port = None
    if not host or not port or split.netloc != value or "@" in value:
        raise ValueError("must be like siem.internal:8443 or [2001:db8::1]:443, separated by commas")
    return f"{host}:{port}"


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(name) for name in names(value))
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8, separated by commas") from None


def name_servers(value: str) -> tuple[tuple[str, int], ...]:
    return tuple(_name_server(name) for name in names(value))


def _name_server(value: str) -> tuple[str, int]:
    """An address, never a name: who would look that up?"""
    try:
        split = urlsplit(f"//[{value}]" if value.count(":") > 1 and "[" not in value else f"//{value}")
        address, port = ip_address(split.hostname or ""), split.port
    except ValueError:
        raise ValueError(
            "must be addresses such as 192.0.2.1 or [2001:db8::1]:53, separated by commas"
        ) from None
    return str(address), 53 if port is None else port


RATED = (
    "management",
    "token",
    "userinfo",
    "authorize",
    "login",
    "signup",
    "mail",
    "registration",
    "device",
    "organizations",
    "accounts",
    "account_mail",
    "agents",
)
"""Kinds of endpoints that have a rate (`core.http.allowances`)."""


def rates(value: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for part in names(value):
        kind, _, number = part.partition("=")
        if kind.strip() not in RATED:
            raise ValueError(f"must name kinds of endpoints: {', '.join(RATED)}")
        found[kind.strip()] = positive(number.strip())
    return found


def tenant_id(value: str) -> str:
    if not _TENANT_ID.fullmatch(value):
        raise ValueError("must be of lower-case letters, digits, '-' and '_'")
    return value


def backend(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", value):
        raise ValueError("must be the name of a backend")
    return value


def node(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", value):
        raise ValueError("must be 1 to 32 lower-case letters, digits and hyphens")
    return value


def registry_url(value: str) -> Secret:
    split = urlsplit(value)
    if split.scheme not in ("postgresql", "postgres") or not split.hostname or len(split.path) < 2:
        raise ValueError("must be postgresql://user:password@host/database")
    if not is_private_line(value):
        raise ValueError("needs ?sslmode=verify-full: this host is not of a private network")
    return Secret(value)


def is_private_line(url: str) -> bool:
    """Whether nobody on the way to a PostgreSQL server can listen, or answer in its place: without being told so,
    its clients do with whatever certificate there is, or none."""
    split = urlsplit(url)
    if {"sslmode=verify-full", "sslmode=verify-ca"} & set(split.query.split("&")):
        return True
    hosts = split.netloc.rpartition("@")[2].split(",")
    return all(is_inside(urlsplit(f"//{host}").hostname or "") for host in hosts)


def is_inside(host: str) -> bool:
    """This machine, a private address, or a name that only a private network's resolver knows."""
    if "." not in host or host.endswith((".internal", ".localhost")):
        return ":" not in host or _is_private(host)
    return _is_private(host)


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


def synchronous(value: str) -> Literal["FULL", "NORMAL"]:
    folded = value.upper()
    if folded not in ("FULL", "NORMAL"):
        raise ValueError("must be FULL or NORMAL")
    return cast(Literal["FULL", "NORMAL"], folded)


def migrate(value: str) -> Literal["background", "command"]:
    if value not in ("background", "command"):
        raise ValueError("must be background or command")
    return cast(Literal["background", "command"], value)


def log_level(value: str) -> str:
    folded = value.lower()
    if folded not in ("debug", "info", "warning", "error"):
        raise ValueError("must be debug, info, warning or error")
    return folded


def failpoints(value: str) -> str:
    try:
        points.parse(value)
    except ValueError as error:
        raise ValueError(f"is malformed: {str(error).rstrip('.')}") from None
    return value


def smtp_url(value: str) -> Secret:
    """Secret, because it holds a password."""
    try:
        split = urlsplit(value)
        is_good = split.scheme in SMTP_SCHEMES and bool(split.hostname) and split.port != 0
    except ValueError:
        is_good = False
    if not is_good or split.path not in ("", "/") or split.query or split.fragment:
        raise ValueError("must be like smtp://user:password@mail.example.com:587, smtps:// or smtp+plain://")
    if (split.username is None) != (split.password is None):
        raise ValueError("must have both a user and a password, or neither")
    return Secret(value)


def mail_from(value: str) -> str:
    name, address = parseaddr(value)
    try:
        parsed_address = Address(name, addr_spec=address)
    except (MessageError, ValueError, IndexError):
        parsed_address = Address()
    if (
        not value.isprintable()
        or not parsed_address.username
        or not _HOST.fullmatch(parsed_address.domain.lower())
    ):
        raise ValueError("must be an address such as login@example.com or Example <login@example.com>")
    return value


def sealing_key(value: str) -> Secret:
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise ValueError("must be the base64 text of 32 bytes")
    return Secret(value)


def templates(value: str) -> Mapping[str, str]:
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(item, str) for item in found.values()):
        raise ValueError("must be a JSON object of texts")
    for template in found.values():
        _check_template(template)
    return cast(Mapping[str, str], found)


def _check_template(template: str) -> None:
    """Plain names only: `str.format` would otherwise reach into attributes."""
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is not None and (name not in TEMPLATE_FIELDS or spec or conversion):
            raise ValueError(f"may name only {{{'}, {'.join(TEMPLATE_FIELDS)}}} in its templates")


def origin(name: str, value: str) -> str:
    """`https://Manage.Example.com:443/` becomes `https://manage.example.com`."""
    try:
        split = urlsplit(value)
        given_port = split.port
    except ValueError:
        raise SettingsError(f"{name} is not an address.") from None
    host = (split.hostname or "").rstrip(".")
    if split.scheme not in _DEFAULT_PORTS or not host or split.path not in ("", "/"):
        raise SettingsError(f"{name} must be an origin such as https://manage.example.com, without a path.")
    if split.query or split.fragment or split.username is not None or split.password is not None:
        raise SettingsError(f"{name} must be an origin: no user, query or fragment.")
    if ":" in host:
        host = f"[{host}]"
    elif not _HOST.fullmatch(host):
        raise SettingsError(f"{name} has a malformed host.")
    suffix = "" if given_port in (None, _DEFAULT_PORTS[split.scheme]) else f":{given_port}"
    return f"{split.scheme}://{host}{suffix}"


def domain(name: str, value: str) -> str:
    folded = value.lower().rstrip(".")
    if len(folded) > 253 or not _HOST.fullmatch(folded):
        raise SettingsError(f"{name} must be a domain such as example.com, without scheme and port.")
    return folded
