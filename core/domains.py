"""Domains of tenants' own: what both planes know of them, and how the tenant's application reaches the registry.

The registry decides, because a domain is one tenant's among all; `controlplane/` implements the protocol, and
`entrypoints/` hands it over. Every call names the tenant of the request and touches nothing of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

RECORD = "_keystead-challenge"
"""The label before a domain where the record that proves it stands: a tenant's own, or an organization's."""

SHOWN = "keystead-domain-verification="
"""What the record begins with."""

Certificates = Literal["auth0_managed_certs", "self_managed_certs"]
Method = Literal["txt", "http"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDomain:
    domain: str
    type: Certificates
    method: Method = "txt"
    tls_policy: str = "recommended"
    domain_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is shown where: `value` as a TXT record of the name `place`, or as the body at the address `place`."""

    method: Method
    place: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDomain:
    """`is_ready`: proven, so that the tenant is found by it. `problem` is what the last look at the proof found."""

    id: str
    domain: str
    origin: str
    type: Certificates
    tls_policy: str
    domain_metadata: Mapping[str, str]
    proof: Proof
    is_ready: bool
    is_primary: bool
    problem: str | None
    checked_at: int | None
    created_at: int


class CustomDomains(Protocol):
    """`NotFound` for an id that is not the tenant's; times are milliseconds."""

    async def all(self, tenant_id: str) -> Sequence[CustomDomain]:
        """The oldest first; there are few."""

    async def get(self, tenant_id: str, id: str) -> CustomDomain: ...

    async def claim(self, tenant_id: str, id: str, wanted: WantedDomain, now: int) -> CustomDomain:
        """Nothing but the tenant's word: the domain leads nowhere yet. Repeated with the same id, the same claim.
        `Conflict` when somebody has proven it, or the tenant itself has claimed it before."""

    async def change(self, tenant_id: str, id: str, changes: Mapping[str, Any]) -> CustomDomain:
        """`tls_policy`, `domain_metadata`."""

    async def verify(self, tenant_id: str, id: str, now: int) -> CustomDomain:
        """Look for the proof now. The domain is the tenant's from this commit on, in every process."""

    async def release(self, tenant_id: str, id: str, now: int) -> None: ...

    async def make_primary(self, tenant_id: str, id: str | None) -> None:
        """None: the host that the installation gave."""
