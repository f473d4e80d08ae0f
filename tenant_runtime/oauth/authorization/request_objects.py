"""Authorization requests as signed JWTs (RFC 9101, OpenID Connect Core 1.0 section 6), by value or by reference.

Only what the object says counts (RFC 9101 section 6.3): beside it `client_id` alone is read, and must be the same.
By reference the object is fetched by the guarded client, and only for a client that has keys: of one that registered
itself, only from the addresses it registered (`request_uris`); of one that an operator made, from any public address,
unless it has such a list.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from core.clock import now_ms
from core.crypto import jwt
from core.errors import InvalidRequest, InvalidRequestObject, InvalidRequestUri
from core.outbound import OutboundFailed, OutboundRefused
from core.tenants import Tenant
from tenant_runtime.configuration import ClientConfiguration, Configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.authorization.acceptance import client_of
from tenant_runtime.oauth.authorization.parameters import KNOWN, SIGNED, Sent, from_pairs
from tenant_runtime.oauth.clients.keys import signature_algorithms, signer_of
from tenant_runtime.oauth.clients.remote_keys import KeysUnavailable
from tenant_runtime.registration.rates import Rate

TYPES = ("oauth-authz-req+jwt", "JWT", "")
ANY_ADDRESS = Rate(60, 60)
"""How often one client's requests may lead to addresses that nobody registered: anybody can make them up."""

OF_STRANGERS = Rate(120, 60)
"""The same for all clients of a tenant that came on their own, who may be one and the same."""

MEDIA_TYPES = ("application/oauth-authz-req+jwt", "application/jwt")


async def read_object(outer: Sent, tenant: Tenant, services: Services, configuration: Configuration) -> Sent:
    """The parameters that count, of a request that has `request` or `request_uri`."""
    client = client_of(outer, configuration)
    by_value, by_reference = outer.get("request"), outer.get("request_uri")
    if by_value is not None and by_reference is not None:
        raise InvalidRequest("A request has a request object or a reference to one, not both.")
    if not client.keys and client.jwks_uri is None:
        raise InvalidRequestObject("The client has no keys to sign its requests with.")
    token = by_value or await _fetched(tenant, services, client, by_reference or "")
    claims = await _verified(token, tenant, services, client)
    inner = _parameters(claims)
    if outer.get("redirect_uri") is not None and inner.get("redirect_uri") is None:
        raise InvalidRequestObject("The redirect_uri must be in the request object.")
    return inner.marked(**{SIGNED: "1"})


async def _fetched(tenant: Tenant, services: Services, client: ClientConfiguration, address: str) -> str:
    address = _without_fragment(address)
    _check_address(tenant, services, client, address)
    try:
        answer = await services.outbound.get(
            address, tenant=tenant.id, accept=", ".join(MEDIA_TYPES), limit=jwt.MAX_TOKEN
        )
    except OutboundRefused as error:
        raise InvalidRequestUri(str(error)) from error
    except OutboundFailed as error:
        raise InvalidRequestUri("The request_uri could not be fetched.") from error
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status != 200 or kind not in MEDIA_TYPES:
        raise InvalidRequestUri("The request_uri did not answer a request object.")
    return answer.body.decode("latin-1").strip()


def _check_address(tenant: Tenant, services: Services, client: ClientConfiguration, address: str) -> None:
    """What a client registered by itself is no address that the tenant chose, either."""
    registered, is_own = client.registration.get("request_uris"), client.origin == "operator"
    is_registered = registered is not None and address in map(_without_fragment, registered)
    if not is_registered and (registered is not None or not is_own):
        raise InvalidRequestUri("The request_uri is not registered for this client.")
    who = (tenant.id, tenant.incarnation, "request objects")
    if not is_own:
        services.rates.count(OF_STRANGERS, who, now_ms(services.clock))
    elif not is_registered:
        services.rates.count(ANY_ADDRESS, (*who, client.client_id), now_ms(services.clock))


def _without_fragment(address: str) -> str:
    """OpenID Connect Core 1.0 section 6.2 has the digest of the object there, for those who keep objects."""
    return address.partition("#")[0]


async def _verified(
    text: str, tenant: Tenant, services: Services, client: ClientConfiguration
) -> Mapping[str, Any]:
    try:
        token = jwt.take_apart(text, algorithms=_algorithms(client), typ=TYPES)
        await signer_of(token, _signing(client), tenant, services, now_ms(services.clock))
        _check_claims(token.claims, tenant, services, client)
    except jwt.TokenInvalid as error:
        raise InvalidRequestObject from error
    except KeysUnavailable as error:
        raise InvalidRequestObject("The keys of the client could not be read from its jwks_uri.") from error
    return token.claims


def _signing(client: ClientConfiguration) -> ClientConfiguration:
    """With the keys that sign its requests: those that were named for it, else all."""
    named = {one["id"] for one in client.signed_request_object.get("credentials") or ()}
    if not named:
        return client
    return replace(client, jwks_uri=None, keys=tuple(key for key in client.keys if key.id in named))


def _algorithms(client: ClientConfiguration) -> tuple[str, ...]:
    registered = client.registration.get("request_object_signing_alg")
    return tuple(alg for alg in signature_algorithms(client) if registered in (None, alg))


def _check_claims(
    claims: Mapping[str, Any], tenant: Tenant, services: Services, client: ClientConfiguration
) -> None:
    """A client assertion is no request object: it has no `client_id` (RFC 9101 section 10.8)."""
    now = now_ms(services.clock) / 1000
    jwt.check_times(claims if client.is_fapi else {"exp": now + 1} | dict(claims), now)
    if claims.get("client_id") != client.client_id:
        raise InvalidRequestObject("The client_id of the request object is another one.")
    if claims.get("iss", client.client_id) != client.client_id:
        raise InvalidRequestObject("The request object was issued by somebody else.")
    audience = claims.get("aud", tenant.issuer)
    if tenant.issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject("The request object is for another issuer.")
    if not {"request", "request_uri"}.isdisjoint(claims):
        raise InvalidRequestObject("A request object is not in another one.")


def _parameters(claims: Mapping[str, Any]) -> Sent:
    named = ((name, claims[name]) for name in sorted(KNOWN & claims.keys()))
    return from_pairs(pair for name, value in named for pair in _texts(name, value))


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A parameter as it would stand in an address (RFC 9101 section 4)."""
    if isinstance(value, str):
        yield name, value
    elif name == "max_age" and isinstance(value, int) and not isinstance(value, bool):
        yield name, str(value)
    elif name == "claims" and isinstance(value, dict):
        yield name, _written(value)
    elif name == "resource" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        yield from ((name, one) for one in value)
    else:
        raise InvalidRequestObject(f"The parameter {name} of the request object is malformed.")


def _written(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        raise InvalidRequestObject("The request object is nested too deeply.") from None
