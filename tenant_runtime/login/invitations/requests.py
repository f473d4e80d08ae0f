"""The authorization request of an invitation that leads to no application: it ends on a page of ours."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from core.errors import InvalidRequest
from tenant_runtime.configuration import ClientConfiguration, Configuration
from tenant_runtime.login.authorization_requests import Progress, RequestKey, save_progress, store_request
from tenant_runtime.oauth.authorization.acceptance import (
    AcceptedRequest,
    Destination,
    connection_of,
    databases_of,
)
from tenant_runtime.oauth.authorization.parameters import ADDRESS_PROVED, AuthorizationParameters
from tenant_runtime.organizations.invitations.tickets import Found

MARKER = "invitation page"
"""In the parameters. No parameter that anybody can send has such a name."""


def is_of_invitation(parameters: Mapping[str, str]) -> bool:
    return MARKER in parameters


def accept_invitation_request(
    parameters: Mapping[str, str], configuration: Configuration, issuer: str
) -> AcceptedRequest:
    client = configuration.clients.get(parameters.get("client_id", ""))
    if client is None:
        raise InvalidRequest("The client is unknown.")
    return AcceptedRequest(
        destination=Destination(
            issuer=issuer,
            client=client,
            redirect_uri="",
            redirect_uri_sent=False,
            response_mode="query",
            state=None,
        ),
        parameters=AuthorizationParameters(
            organization=parameters["organization"],
            invitation=parameters["invitation"],
            address_proved=ADDRESS_PROVED in parameters,
            connection=parameters.get("connection"),
        ),
        connection=connection_of(client, parameters.get("connection"), configuration),
        resource_server=None,
        scope=(),
        expected_subject=None,
    )


def parameters_of(found: Found, configuration: Configuration) -> dict[str, str]:
    row, client = found.row, client_for(found.row, configuration)
    parameters = {"client_id": client.client_id, "organization": row.organization_id, MARKER: "1"}
    named = configuration.connections.get(row.connection_id or "")
    if named is not None and named.id in client.connections:
        parameters["connection"] = named.name
    return parameters | as_kept(found)


def as_kept(found: Found) -> dict[str, str]:
    """The id, never the secret."""
    return {"invitation": found.row.id} | ({ADDRESS_PROVED: "1"} if found.proves_address else {})


def client_for(row: Row[Any], configuration: Configuration) -> ClientConfiguration:
    """The invitation's; else one of the tenant's own through which people sign in at all."""
    named = configuration.clients.get(row.client_id or "")
    candidates = sorted(configuration.clients.values(), key=lambda client: client.client_id)
    for client in (named, *candidates):
        if client is not None and _signs_people_in(client, configuration):
            return client
    raise InvalidRequest("There is no application here through which people sign in.")


def _signs_people_in(client: ClientConfiguration, configuration: Configuration) -> bool:
    takes_codes = "authorization_code" in client.grant_types
    return takes_codes and client.is_vouched_for and bool(databases_of(client, configuration))


def begin(
    connection: Connection, key: RequestKey, parameters: Mapping[str, str], identifier: str, now: int
) -> None:
    store_request(connection, key, parameters["client_id"], parameters, now)
    save_progress(connection, key.digest, Progress(identifier=identifier))
