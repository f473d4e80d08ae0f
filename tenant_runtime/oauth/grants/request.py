"""What every grant is given, and how it says no for good."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from core.errors import InvalidDpopProof, InvalidRequest, InvalidTarget, UnauthorizedClient
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, ResourceServerConfiguration
from tenant_runtime.oauth.clients.authentication import AuthenticatedClient
from tenant_runtime.oauth.dpop.proofs import Proof
from tenant_runtime.oauth.policy import resolve_target
from tenant_runtime.oauth.single_use import claim
from tenant_runtime.oauth.wire import Call

FAPI_GRANTS = ("authorization_code", "refresh_token", "client_credentials")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """An authenticated request at the token endpoint."""

    call: Call
    configuration: Configuration
    client: AuthenticatedClient
    parameters: Mapping[str, str]
    proof: Proof | None = None

    @property
    def jkt(self) -> str | None:
        """The key that the tokens will be bound to."""
        return self.proof.jkt if self.proof is not None else None

    @property
    def counts_once(self) -> bool:
        """Whether there is something to claim: then a unit that would only read must write."""
        return self.client.used is not None or self.proof is not None

    def claim_single_use(self, connection: Connection) -> None:
        """First in every unit: what the client proved itself and its key with counts once."""
        if self.client.used is not None:
            claim(connection, (self.client.used,))
        if self.proof is not None:
            claim(connection, (self.proof.used,))

    def target(self) -> ResourceServerConfiguration | None:
        """The API that `audience` or `resource` names."""
        audience, resource = self.parameters.get("audience"), self.parameters.get("resource")
        return resolve_target(self.configuration, audience, resource, self.call.tenant.issuers)

    def require_target(self, authorized: str | None) -> None:
        """Where the API was chosen before, it may be named again, and no other (RFC 8707 section 2.2)."""
        resource = self.parameters.get("resource")
        if resource is not None and (server := self.target()) is not None and server.identifier != authorized:
            raise InvalidTarget("The authorization is for another resource.")

    def require_holder(self, server: ResourceServerConfiguration | None) -> None:
        """An API may take tokens that are bound to a key alone (Auth0's `proof_of_possession`)."""
        if server is not None and server.requires_dpop and self.proof is None:
            raise InvalidDpopProof("A DPoP proof is required for this API.")

    def required(self, name: str) -> str:
        value = self.parameters.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing.")
        return value

    def require_grant_type(self, grant_type: str) -> None:
        client = self.client.configuration
        if grant_type not in client.grant_types or (client.is_fapi and grant_type not in FAPI_GRANTS):
            raise UnauthorizedClient(f"The client may not use the grant type {grant_type}.")

    def event(self, kind: str, **fields: Any) -> Event:
        call, client = self.call, self.client.configuration
        return Event(
            type=kind,
            created_at=call.now_ms,
            client_id=client.client_id,
            client_name=client.name,
            ip=call.ip,
            user_agent=call.user_agent,
            request_id=call.request_id,
            **fields,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Returned from a unit so that what it wrote is kept; becomes `invalid_grant`."""

    description: str
