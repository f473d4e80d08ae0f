"""The authorization request of a device (RFC 8628), as the browser flow sees it.

Once somebody has entered a user code, their browser has an authorization request like any other: the device's client
and what it asked for, with a marker of the device code. Its answer goes to no address: it ends at the confirmation
(`login.device`), which decides about the device code.
"""

from collections.abc import Mapping

from core.errors import InvalidRequest, UnauthorizedClient
from tenant_runtime.configuration import DEVICE_CODE, ClientConfiguration, Configuration
from tenant_runtime.oauth.authorization.acceptance import (
    AcceptedRequest,
    Destination,
    check_organization,
    connection_of,
)
from tenant_runtime.oauth.authorization.parameters import Sent, understood
from tenant_runtime.oauth.policy import cut_scope, resolve_target

GRANT_TYPE = DEVICE_CODE
MARKER = "device code"
"""In the parameters: the digest of the device code. No parameter that anybody can send has such a name."""

ASKED = ("scope", "audience", "resource", "organization")


def is_of_device(parameters: Mapping[str, str]) -> bool:
    return MARKER in parameters


def accept_device(
    parameters: Mapping[str, str], configuration: Configuration, issuer: str
) -> AcceptedRequest:
    """Checked when the device asks, and again at each step, with the configuration as it is then."""
    client = _client(parameters.get("client_id", ""), configuration)
    asked = understood(Sent({name: parameters[name] for name in ASKED if name in parameters}))
    check_organization(client, asked)
    server = resolve_target(configuration, asked.audience, asked.resource, frozenset({issuer}))
    return AcceptedRequest(
        destination=Destination(
            issuer=issuer,
            client=client,
            redirect_uri="",
            redirect_uri_sent=False,
            response_mode="query",
            state=None,
        ),
        parameters=asked,
        connection=connection_of(client, None, configuration),
        resource_server=server,
        scope=cut_scope(configuration, client, server, asked.scope),
        expected_subject=None,
    )


def _client(client_id: str, configuration: Configuration) -> ClientConfiguration:
    client = configuration.clients.get(client_id)
    if client is None:
        raise InvalidRequest("The client is unknown.")
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient(f"The client may not use the grant type {GRANT_TYPE}.")
    return client
