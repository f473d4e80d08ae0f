"""Who is calling, as the verified token says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from keystead_sdk.errors import BEARER, DPOP
from keystead_sdk.organization_permissions import as_told

UNLIMITED = "unlimited"
NOTHING: Mapping[str, bool | int | str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A subject is (issuer, subject): an equal `sub` from another issuer is somebody else.

    `tenant` is what the rule for trusted issuers answered, None where one fixed issuer is trusted. Decide by
    `org_id`; `org_name` is for display. `key_thumbprint` names the key that the caller proved to hold, None for a
    bearer token.

    Of the organization, as far as the token says so: `org_role` (several are joined by commas), `org_permissions` (what
    the member may do to the organization itself), `licenses` (names of products) and `entitlements` (features: True, a
    number, or `unlimited`). Empty without `org_id`.
    """

    issuer: str
    subject: str
    audience: str
    client_id: str | None
    scopes: frozenset[str]
    permissions: frozenset[str]
    org_id: str | None
    org_name: str | None
    tenant: str | None
    key_thumbprint: str | None = None
    org_role: str | None = None
    org_permissions: frozenset[str] = frozenset()
    licenses: frozenset[str] = frozenset()
    entitlements: Mapping[str, bool | int | str] = field(default_factory=lambda: NOTHING, compare=False)
    claims: Mapping[str, Any] = field(repr=False, compare=False)

    def has_permission(self, name: str) -> bool:
        """Of the API, or of the organization (`members.remove`, `keystead_sdk.organization_permissions`)."""
        return name in self.permissions or name in self.scopes or as_told(name) in self.org_permissions

    def has_scope(self, name: str) -> bool:
        return name in self.scopes

    @property
    def scheme(self) -> str:
        """How the token was shown, and how a challenge must ask for another."""
        return BEARER if self.key_thumbprint is None else DPOP

    @property
    def actor(self) -> str | None:
        """Who acts in the subject's name (`act`, RFC 8693 section 4.1); None where the subject uses the client."""
        act = self.claims.get("act")
        return str(act["sub"]) if act is not None else None

    @property
    def is_machine(self) -> bool:
        """A client acting for itself (client credentials), no person behind it."""
        return self.claims.get("gty") == "client-credentials" or self.subject.endswith("@clients")
