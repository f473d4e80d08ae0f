"""The API that agents call, as one of the tenant's APIs: every tenant has it, and no row says so."""

from collections.abc import Iterable, Mapping
from typing import Final

PATH: Final = "/mcp"
READ, WRITE = "organizations:read", "organizations:write"
SCOPES: Final[Mapping[str, str]] = {
    READ: "See your organizations and who is in them",
    WRITE: "Create organizations, invite people, change their roles, remove them",
}
ID: Final = "agents"
NAME: Final = "Organizations"
LIFETIME: Final = 3600


def address_of(issuer: str) -> str:
    """Its identifier, which is where it is."""
    return f"{issuer}{PATH[1:]}"


def addresses_of(issuers: Iterable[str]) -> frozenset[str]:
    """Every issuer of a tenant has the same one."""
    return frozenset(map(address_of, issuers))
