"""What every grant is given, and how it says no for good."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidRequest, UnauthorizedClient
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration
from tenant_runtime.oauth.client_authentication import AuthenticatedClient
from tenant_runtime.oauth.wire import Call


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """An authenticated request at the token endpoint."""

    call: Call
    configuration: Configuration
    client: AuthenticatedClient
    parameters: Mapping[str, str]

    def required(self, name: str) -> str:
        value = self.parameters.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing.")
        return value

    def require_grant_type(self, grant_type: str) -> None:
        if grant_type not in self.client.configuration.grant_types:
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
