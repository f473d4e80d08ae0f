"""A client proves itself by a signed statement (RFC 7523 section 3, OpenID Connect Core 1.0 section 9).

`private_key_jwt` and `client_secret_jwt`: which of the two, the client registered. The statement is for this issuer,
good for minutes and good once. What is wrong with it is told only when its signature is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.crypto.jwt import TokenInvalid, Unverified, check_times, take_apart
from core.errors import InvalidClient, InvalidRequest
from tenant_runtime.configuration import ClientConfiguration, Configuration
from tenant_runtime.oauth.clients.documents import with_document
from tenant_runtime.oauth.clients.keys import BY_NO_KEY, Signer, signature_algorithms, signer_of
from tenant_runtime.oauth.clients.remote_keys import KeysUnavailable
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.oauth.single_use import SingleUse
from tenant_runtime.oauth.wire import Call

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BY_KEY, BY_SECRET = "private_key_jwt", "client_secret_jwt"
MAC_ALGORITHMS = ("HS256", "HS384", "HS512")
LONGEST = 300.0
"""Seconds from now, or from an `iat` that is ahead of us: so long an assertion may be good."""

AHEAD = 10.0
"""Seconds by which a client's clock may be ahead of ours (FAPI 2.0 Security Profile section 5.3.2.1)."""

_TYPES = ("", "JWT", "client-authentication+jwt")
_LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Asserted:
    """Who proved itself, with what, and what of it counts once."""

    client: ClientConfiguration
    used: SingleUse
    secret_digest: str | None = None
    signer: Signer = BY_NO_KEY


async def read_assertion(call: Call, parameters: Mapping[str, str], configuration: Configuration) -> Asserted:
    token = _taken_apart(parameters)
    subject, named = token.claims.get("sub"), parameters.get("client_id")
    if not isinstance(subject, str) or named not in (None, subject):
        raise InvalidClient  # the body may name the client that the assertion is about, and no other
    configuration = await with_document(call.tenant, call.services, configuration, subject)
    client = configuration.clients.get(subject)
    if client is None:
        raise InvalidClient
    if token.alg not in _algorithms(client):
        raise InvalidClient
    if client.token_endpoint_auth_method == BY_SECRET:
        secret_digest = _secret_of(token, client, call.now_ms)
        return Asserted(client, _checked(token, client, call), secret_digest)
    try:
        signer = await signer_of(token, client, call.tenant, call.services, call.now_ms)
    except TokenInvalid as error:
        raise InvalidClient from error
    except KeysUnavailable as error:
        raise InvalidClient("The keys of the client could not be read from its jwks_uri.") from error
    return Asserted(client, _checked(token, client, call), signer=signer)


def _taken_apart(parameters: Mapping[str, str]) -> Unverified:
    if parameters.get("client_assertion_type") != JWT_BEARER:
        raise InvalidClient("The client_assertion_type is not supported.")
    text = parameters.get("client_assertion")
    if text is None:
        raise InvalidRequest("client_assertion is missing.")
    try:
        return take_apart(text, algorithms=(*ALGORITHMS, *MAC_ALGORITHMS), typ=_TYPES)
    except TokenInvalid as error:
        raise InvalidClient from error


def _algorithms(client: ClientConfiguration) -> tuple[str, ...]:
    """The registered way decides: a client of another way can be proved by no assertion."""
    match client.token_endpoint_auth_method:
        case "private_key_jwt":
            allowed = signature_algorithms(client)
        case "client_secret_jwt" if not client.is_fapi:
            allowed = MAC_ALGORITHMS
        case _:
            return ()
    registered = client.registration.get("token_endpoint_auth_signing_alg")
    return allowed if registered is None else tuple(alg for alg in allowed if alg == registered)


def _secret_of(token: Unverified, client: ClientConfiguration, now_ms: int) -> str:
    for secret in client.secrets:
        is_good = secret.expires_at is None or secret.expires_at > now_ms
        if is_good and secret.text is not None and token.is_signed_with(secret.text):
            return secret.digest
    raise InvalidClient


def _checked(token: Unverified, client: ClientConfiguration, call: Call) -> SingleUse:
    """RFC 7523 section 3, after the signature."""
    claims, now = token.claims, call.now_ms / 1000
    if claims.get("iss") != client.client_id:
        raise InvalidClient("The iss of the assertion must be the client, as its sub.")
    if not _is_for_us(claims.get("aud"), client, call):
        raise InvalidClient("The aud of the assertion is not this issuer.")
    try:
        check_times(claims, now, AHEAD)
    except TokenInvalid as error:
        raise InvalidClient(f"The time of the assertion is not good: {error.reason}.") from error
    if claims["exp"] > max(now, claims.get("iat", now)) + LONGEST:
        raise InvalidClient("The assertion is good for too long.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_ID:
        raise InvalidClient("The assertion must have a jti.")
    expires_at = int(claims["exp"] * 1000)
    return SingleUse.of("client_assertion", client.client_id, jti, expires_at=expires_at, error=InvalidClient)


def _is_for_us(audience: Any, client: ClientConfiguration, call: Call) -> bool:
    """FAPI 2.0 Security Profile section 5.3.2.1: the issuer, as one text. Others may also name the endpoint, as
    OpenID Connect and RFC 9126 section 2 let them."""
    issuer = call.tenant.issuer
    if client.is_fapi:
        return bool(audience == issuer)
    good = (issuer, f"{issuer}oauth/token", issuer.removesuffix("/") + call.path)
    named = audience if isinstance(audience, list) else [audience]
    return any(isinstance(one, str) and one in good for one in named)
