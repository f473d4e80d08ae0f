"""Addresses in a connection's options: judged when they are saved, and not changed without the secret that is sent to
them (`specs/bad-inputs.md` 119 and 120)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import InvalidInput
from core.outbound import Outbound, OutboundRefused

_ADDRESS = re.compile(r"(?:.*(?:url|uri|endpoint)s?|issuer)", re.IGNORECASE)
_DESTINATION = frozenset({"domain", "tenant_domain", "adfs_server", "host", "region"})
"""No addresses, but what one is made of."""

_ONLY_SHOWN = frozenset({"icon_url", "logo_url"})
_CLAIMS = frozenset({"fieldsMap", "fields_map", "attribute_map"})
"""Names of claims, which look like addresses and are none."""


def check_addresses(options: Mapping[str, Any], outbound: Outbound) -> None:
    for path, address in _found(options, ""):
        if not _ADDRESS.fullmatch(path.rpartition(".")[2]):
            continue
        try:
            outbound.check(address)
        except OutboundRefused as refused:
            raise InvalidInput(f"`options.{path}`: {refused}") from refused


def destinations(options: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Where people and secrets are sent, with the member that says so."""
    return frozenset(item for item in _found(options, "") if item[0].rpartition(".")[2] not in _ONLY_SHOWN)


def _found(options: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        is_meant = name in _DESTINATION or _ADDRESS.fullmatch(name) is not None
        match value:
            case str() if is_meant and value:
                yield f"{prefix}{name}", value
            case list() if is_meant:
                yield from ((f"{prefix}{name}", item) for item in value if isinstance(item, str) and item)
            case list():
                for item in value:
                    if isinstance(item, Mapping):
                        yield from _found(item, f"{prefix}{name}.")
            case Mapping() if name not in _CLAIMS:
                yield from _found(value, f"{prefix}{name}.")
            case _:
                continue
