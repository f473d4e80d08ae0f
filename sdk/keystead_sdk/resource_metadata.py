"""What an API says of itself to clients that know nothing but its address (RFC 9728), MCP clients among them.

The document stands at the well-known path of the API's own address, and every refusal says where (section 5.1). By it
a client finds the issuer, registers there or is known there, and asks for a token for this very `resource`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from keystead_sdk.addresses import origin_of
from keystead_sdk.errors import PROOF_ALGORITHMS, Misused

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """`resource` is the API's identifier at the issuer, its audience, and must be an address of the API itself:
    clients compare it with the address that they called. `documentation` is an address for people."""

    resource: str
    authorization_servers: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    name: str | None = None
    documentation: str | None = None
    requires_dpop: bool = False

    def __post_init__(self) -> None:
        if not self.authorization_servers:
            raise Misused("Name at least one issuer whose tokens the API accepts.")
        for address in (self.resource, *self.authorization_servers):
            _check(address)

    @property
    def path(self) -> str:
        """Where the document is, on the host of the API (section 3.1)."""
        own = urlsplit(self.resource).path
        return WELL_KNOWN + ("" if own == "/" else own)

    @property
    def address(self) -> str:
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}{self.path}"

    def document(self) -> dict[str, Any]:
        """Section 2."""
        members: Mapping[str, Any] = {
            "resource_name": self.name,
            "resource_documentation": self.documentation,
            "scopes_supported": list(self.scopes),
            "dpop_bound_access_tokens_required": self.requires_dpop,
        }
        return {
            "resource": self.resource,
            "authorization_servers": list(self.authorization_servers),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": PROOF_ALGORITHMS.split(),
            **{name: value for name, value in members.items() if value},
        }

    def challenge(self, challenge: str) -> str:
        """The value of `WWW-Authenticate`, with the address of the document."""
        named = f'resource_metadata="{self.address}"'
        scheme, joint, others = challenge.partition(",")
        if " " not in scheme.strip():
            return f"{scheme} {named}{joint}{others}"
        return f"{challenge}, {named}"


def _check(address: str) -> None:
    """An identifier that stands in a header and in an address: https, or http on this machine."""
    try:
        origin_of(address)
    except ValueError as wrong:
        raise Misused(f"An address of protected-resource metadata is {wrong}.") from None
    if not address.isascii() or not address.isprintable() or any(char in address for char in ' "\\#?'):
        raise Misused("An address of protected-resource metadata holds neither query, fragment nor blanks.")
