"""What is checked of an authorization request before anybody is asked anything.

`destination` decides whether an answer may be sent anywhere at all; what it raises is shown on a page. `accept` does
the rest; what it raises travels to that destination. Both look at the configuration as it is now, so a request that
is resumed after a login is checked again.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from core.errors import InvalidRequest, UnauthorizedClient, UnsupportedResponseType
from tenant_runtime.configuration import (
    ClientConfiguration,
    Configuration,
    ConnectionConfiguration,
    ResourceServerConfiguration,
)
from tenant_runtime.connections.strategies import DATABASE
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.oauth.authorization.acr import check_essential
from tenant_runtime.oauth.authorization.id_token_hint import read_hint
from tenant_runtime.oauth.authorization.parameters import AuthorizationParameters, Sent, understood
from tenant_runtime.oauth.authorization.redirect_uris import is_registered
from tenant_runtime.oauth.policy import cut_scope, resolve_target, split_scope
from tenant_runtime.oauth.tokens.claims import scopes_of, within

ResponseMode: TypeAlias = Literal["query", "fragment", "form_post", "web_message"]
RESPONSE_MODES: tuple[ResponseMode, ...] = get_args(ResponseMode)
RESPONSE_TYPES = ("code",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the answer goes: a known client, at an address of its own."""

    issuer: str
    client: ClientConfiguration
    redirect_uri: str
    redirect_uri_sent: bool
    response_mode: ResponseMode
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedRequest:
    """A request that can be granted, once the right person has done what is asked."""

    destination: Destination
    parameters: AuthorizationParameters
    connection: ConnectionConfiguration
    resource_server: ResourceServerConfiguration | None
    scope: tuple[str, ...]
    expected_subject: str | None

    @property
    def client(self) -> ClientConfiguration:
        return self.destination.client

    @property
    def to_consent(self) -> tuple[str, ...]:
        """The scope, and what stands for claims that are named beside it."""
        return tuple(dict.fromkeys((*self.scope, *scopes_of(self.parameters.claims))))

    @property
    def audience(self) -> str | None:
        return self.resource_server.identifier if self.resource_server else None


def destination(request: Sent, configuration: Configuration, issuer: str) -> Destination:
    client = client_of(request, configuration)
    redirect_uri = _redirect_uri(request, client)
    mode = _response_mode(request.get("response_mode"), redirect_uri)
    if mode == "web_message" and not _may_receive_messages(client, redirect_uri):
        raise InvalidRequest("The redirect_uri is not of a web origin that is registered for this client.")
    return Destination(
        issuer=issuer,
        client=client,
        redirect_uri=redirect_uri,
        redirect_uri_sent=request.get("redirect_uri") is not None,
        response_mode=mode,
        state=request.state,
    )


def web_origins(client: ClientConfiguration) -> frozenset[str]:
    return frozenset(filter(None, map(origin_of, client.web_origins)))


def accept(
    request: Sent, to: Destination, configuration: Configuration, issuers: frozenset[str]
) -> AcceptedRequest:
    client = to.client
    _check_way(request, client)
    _check_response(request, to)
    if "authorization_code" not in client.grant_types:
        raise UnauthorizedClient("The client is not registered for the authorization code grant.")
    parameters = _registered_claims(client, understood(request))
    if parameters.code_challenge is None and (client.is_public or client.require_pkce or client.is_fapi):
        raise InvalidRequest("A code_challenge is required (RFC 7636).")
    check_organization(client, parameters)
    check_essential(parameters.claims)
    server = resolve_target(configuration, parameters.audience, parameters.resource, issuers)
    return AcceptedRequest(
        destination=to,
        parameters=parameters,
        connection=connection_of(client, parameters.connection, configuration),
        resource_server=server,
        scope=tuple(cut_scope(configuration, client, server, parameters.scope)),
        expected_subject=_expected_subject(client, parameters, configuration, issuers),
    )


def _registered_claims(
    client: ClientConfiguration, parameters: AuthorizationParameters
) -> AuthorizationParameters:
    """A client that registered a scope gets no claim beyond it (`policy.cut_scope`)."""
    registered = client.registration.get("scope")
    if registered is None or parameters.claims is None:
        return parameters
    return replace(parameters, claims=within(parameters.claims, split_scope(registered)))


def client_of(request: Sent, configuration: Configuration) -> ClientConfiguration:
    if "client_id" in request.repeated:
        raise InvalidRequest("The parameter client_id was sent more than once.")
    client_id = request.get("client_id")
    if client_id is None:
        raise InvalidRequest("The parameter client_id is missing.")
    client = configuration.clients.get(client_id)
    if client is None:
        raise InvalidRequest("The client is unknown.")
    return client


def _redirect_uri(request: Sent, client: ClientConfiguration) -> str:
    if "redirect_uri" in request.repeated:
        raise InvalidRequest("The parameter redirect_uri was sent more than once.")
    sent = request.get("redirect_uri")
    if sent is None and len(client.callbacks) != 1:
        raise InvalidRequest("The parameter redirect_uri is missing.")
    address = client.callbacks[0] if sent is None else sent
    if not is_registered(client, address):
        raise InvalidRequest("The redirect_uri is not registered for this client.")
    return address


def _response_mode(value: str | None, redirect_uri: str) -> ResponseMode:
    """A mode that is unknown, or a form for an address that takes none, is refused later, by the mode that every
    client understands."""
    if value == "form_post" and origin_of(redirect_uri) is None:
        return "query"
    return next((mode for mode in RESPONSE_MODES if mode == value), "query")


def _may_receive_messages(client: ClientConfiguration, redirect_uri: str) -> bool:
    return origin_of(redirect_uri) in web_origins(client)


def _check_way(request: Sent, client: ClientConfiguration) -> None:
    """How the request came. One whose parameters are elsewhere and were not read is never taken as it stands."""
    if request.is_indirect:
        raise InvalidRequest("The request object was not read.")
    if client.requires_pushed_requests and request.pushed is None:
        raise InvalidRequest("The client must push its requests (RFC 9126).")
    if client.signed_request_object.get("required") is True and not request.is_signed:
        raise InvalidRequest("The client must sign its requests (RFC 9101).")
    if client.is_fapi and request.get("redirect_uri") is None:
        raise InvalidRequest("The parameter redirect_uri is missing.")


def _check_response(request: Sent, to: Destination) -> None:
    response_type, mode = request.get("response_type"), request.get("response_mode")
    if response_type is None:
        raise InvalidRequest("The parameter response_type is missing or was sent more than once.")
    if response_type not in RESPONSE_TYPES:
        raise UnsupportedResponseType("The only response_type is code.")
    if mode is not None and mode != to.response_mode:
        raise InvalidRequest("The response_mode is not supported.")


def check_organization(client: ClientConfiguration, parameters: AuthorizationParameters) -> None:
    """Auth0's rules: `organization_usage`, and what is done when it is required and was not named."""
    named = parameters.organization is not None
    if named and client.organization_usage == "deny":
        raise InvalidRequest("parameter organization is not allowed for this client")
    unprompted = client.organization_require_behavior == "no_prompt"
    if not named and client.organization_usage == "require" and unprompted:
        raise InvalidRequest("parameter organization is required for this client")


def connection_of(
    client: ClientConfiguration, name: str | None, configuration: Configuration
) -> ConnectionConfiguration:
    """The database of users in which this client's people log in. Other strategies have no log-in yet."""
    enabled = databases_of(client, configuration)
    chosen = next((connection for connection in enabled if name in (None, connection.name)), None)
    if chosen is None:
        raise InvalidRequest("The connection is not enabled for this client.")
    return chosen


def databases_of(client: ClientConfiguration, configuration: Configuration) -> list[ConnectionConfiguration]:
    """Those this client may use, in an order that stays."""
    enabled = [
        connection
        for connection in configuration.connections.values()
        if connection.strategy == DATABASE and connection.id in client.connections
    ]
    return sorted(enabled, key=lambda connection: connection.id)


def _expected_subject(
    client: ClientConfiguration,
    parameters: AuthorizationParameters,
    configuration: Configuration,
    issuers: frozenset[str],
) -> str | None:
    """By hint, or by a value asked of `sub` (OpenID Connect Core 1.0, section 5.5.1)."""
    wanted = ((parameters.claims or {}).get("id_token") or {}).get("sub") or {}
    asked = wanted.get("value")
    if parameters.id_token_hint is None:
        return asked if isinstance(asked, str) else None
    hint = read_hint(
        parameters.id_token_hint, keys=configuration.keys.public, issuers=issuers, clients=(client.client_id,)
    )
    if hint is None or asked not in (None, hint.subject):
        raise InvalidRequest("The id_token_hint is not an ID token of this issuer for this client.")
    return hint.subject
