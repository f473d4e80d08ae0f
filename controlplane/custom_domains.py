"""Custom domains as the registry keeps them: implements `core.domains.CustomDomains`.

A proof is looked for where only the owner of the domain can put it: a TXT record beside it, or a file that their own
web server answers. This installation never answers that file itself. If it did, pointing a domain here would be a
proof for whoever claims it first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog

from controlplane.registry.custom_domains import (
    DomainClaim,
    all_claims,
    change_claim,
    get_claim,
    prove,
    put_claim,
    refuse_taken,
    release_claim,
    set_primary,
)
from core.database import Database
from core.dns import NamesAway, NameServers
from core.domains import RECORD, SHOWN, CustomDomain, Proof, WantedDomain
from core.errors import Conflict, InvalidInput
from core.failpoints import failpoint
from core.http.hosts import canonical_host
from core.ids import digest, new_secret
from core.outbound import Outbound, OutboundFailed, OutboundRefused
from core.settings import Settings, is_loopback

_log = structlog.get_logger(__name__)

WELL_KNOWN = "/.well-known/keystead-domain-challenge/"
_LONGEST = 253 - len(RECORD) - 1
_NO_PROOF = "The proof was not found."
_NO_ANSWER = "Nothing useful was answered."


class RegistryCustomDomains:
    def __init__(
        self, registry: Database, settings: Settings, names: NameServers, outbound: Outbound
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._names = names
        self._outbound = outbound

    async def all(self, tenant_id: str) -> Sequence[CustomDomain]:
        return [self._shown(claim) for claim in await self._registry.read(all_claims, tenant_id)]

    async def get(self, tenant_id: str, id: str) -> CustomDomain:
        return self._shown(await self._registry.read(get_claim, tenant_id, id))

    async def claim(self, tenant_id: str, id: str, wanted: WantedDomain, now: int) -> CustomDomain:
        host = claimable_host(self._settings, wanted.domain)
        claim = DomainClaim(
            id=id,
            tenant_id=tenant_id,
            host=host,
            type=wanted.type,
            method=wanted.method,
            token=new_secret(24),
            tls_policy=wanted.tls_policy,
            domain_metadata=dict(wanted.domain_metadata),
            problem=None,
            created_at=now,
            proven_at=None,
            checked_at=None,
            released_at=None,
        )
        if claim.method == "http":
            self._check_address(self._proof(claim).place)
        made = await self._registry.write(put_claim, claim)
        failpoint("custom_domains.claimed")
        return self._shown(made)

    async def change(self, tenant_id: str, id: str, changes: Mapping[str, Any]) -> CustomDomain:
        return self._shown(await self._registry.write(change_claim, tenant_id, id, changes))

    async def verify(self, tenant_id: str, id: str, now: int) -> CustomDomain:
        claim = await self._registry.read(get_claim, tenant_id, id)
        former = await self._registry.read(refuse_taken, claim)
        problem = await self._problem(claim)
        if problem is not None:
            noted = {"problem": problem, "checked_at": now}
            return self._shown(await self._registry.write(change_claim, tenant_id, id, noted))
        for other in former:
            await self._refuse_standing(other)
        ids = [other.id for other in former]
        proven = await self._registry.write(prove, claim, self._origin(claim.host), now, ids)
        failpoint("custom_domains.proven")
        return self._shown(proven)

    async def release(self, tenant_id: str, id: str, now: int) -> None:
        await self._registry.write(release_claim, tenant_id, id, now)
        failpoint("custom_domains.released")

    async def make_primary(self, tenant_id: str, id: str | None) -> None:
        await self._registry.write(set_primary, tenant_id, id)

    # --- proofs ------------------------------------------------------------------------------------------------

    def _proof(self, claim: DomainClaim) -> Proof:
        value = f"{SHOWN}{claim.token}"
        if claim.method == "txt":
            return Proof(method="txt", place=f"{RECORD}.{claim.host}", value=value)
        name = digest(claim.token)[:32]  # what is asked for does not tell what is to be answered
        return Proof(method="http", place=f"{self._origin(claim.host)}{WELL_KNOWN}{name}", value=value)

    async def _problem(self, claim: DomainClaim) -> str | None:
        """Why there is no proof, for its owner to read; None: there it is."""
        try:
            return None if await self._stands(claim) else _NO_PROOF
        except (NamesAway, OutboundFailed) as error:
            _log.info("custom_domain_not_proven", domain=claim.host, reason=error.reason)
            return _NO_ANSWER
        except OutboundRefused as error:
            return str(error)

    async def _refuse_standing(self, other: DomainClaim) -> None:
        """A domain is free when the proof of whoever had it before is gone. A name server that is away does not say
        so; a web server that does not show it does."""
        try:
            stands = await self._stands(other)
        except NamesAway:
            stands = True
        except (OutboundFailed, OutboundRefused):
            stands = False
        if stands:
            raise Conflict(
                "The proof by which another tenant had this domain still stands: take it away first.",
                code="custom_domain_in_use",
            )

    async def _stands(self, claim: DomainClaim) -> bool:
        proof = self._proof(claim)
        if proof.method == "txt":
            return proof.value in await self._names.texts(proof.place)
        fetched = await self._outbound.get(proof.place, tenant=claim.tenant_id, accept="text/plain")
        return fetched.status == 200 and fetched.body.strip() == proof.value.encode()

    def _check_address(self, url: str) -> None:
        try:
            self._outbound.check(url)
        except OutboundRefused as error:
            raise InvalidInput(str(error)) from error

    def _origin(self, host: str) -> str:
        suffix = "" if self._settings.port is None else f":{self._settings.port}"
        return f"{self._settings.scheme}://{host}{suffix}"

    def _shown(self, claim: DomainClaim) -> CustomDomain:
        return CustomDomain(
            id=claim.id,
            domain=claim.host,
            origin=self._origin(claim.host),
            type=cast("Any", claim.type),
            tls_policy=claim.tls_policy,
            domain_metadata=claim.domain_metadata,
            proof=self._proof(claim),
            is_ready=claim.is_ready,
            is_primary=claim.is_primary,
            problem=claim.problem,
            checked_at=claim.checked_at,
            created_at=claim.created_at,
        )


def claimable_host(settings: Settings, domain: str) -> str:
    """As a host is compared: in A-labels and small letters. Raises for what can be no tenant's own domain."""
    host = canonical_host(domain) if _is_plain(domain) else None
    if host is None or len(host) > _LONGEST or "_" in host:
        raise InvalidInput("`domain` must be a domain such as login.example.com.")
    last = host.rpartition(".")[2]
    if "." not in host or last.isdigit():
        raise InvalidInput("`domain` must be a domain of two labels or more, and no address.")
    for own in (settings.base_domain, settings.control_plane_host):
        if host == own or host.endswith(f".{own}"):
            raise InvalidInput("`domain` belongs to this installation.", code="reserved_domain")
    if settings.scheme == "http" and not is_loopback(host):
        raise InvalidInput("This installation is served over plain http: custom domains need https.")
    return host


def _is_plain(domain: str) -> bool:
    """A name and nothing around it; what stands for several names is none (`*.example.com`)."""
    return not set(domain) & set(":/@*[]?#%\\ ")
