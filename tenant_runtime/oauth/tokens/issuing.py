"""Making tokens: which claims, which key, how long. No database: what is said was read by the unit that issued.

Access tokens are RFC 9068 JWTs (`typ: at+jwt`) in every dialect, with the claims strict verifiers ask for and the
ones Auth0's have; a person's say when and how strongly they logged in. `rfc9068_profile` adds by which means, the
`_authz` dialects `permissions`. Without an API the access token is opaque and good for /userinfo.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.crypto import jwt
from core.crypto.keys import SigningKey
from tenant_runtime.configuration import ClientConfiguration, Configuration, ResourceServerConfiguration
from tenant_runtime.oauth.policy import needs_consent
from tenant_runtime.oauth.tokens.subject import OrganizationClaims
from tenant_runtime.organizations.claims import NOTHING, Place, Told
from tenant_runtime.organizations.options import OPTIONS

ACCESS_TOKEN_TYPE = "at+jwt"
ID_TOKEN_TYPE = "JWT"
OPAQUE_LIFETIME = 86400
ID_TOKEN_LIFETIME = 36000
AUTHORIZATION_DIALECTS = ("access_token_authz", "rfc9068_profile_authz")
RFC_9068_DIALECTS = ("rfc9068_profile", "rfc9068_profile_authz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How and when the person logged in, for the claims that tell of it."""

    authenticated_at: int
    acr: str | None
    amr: tuple[str, ...]
    nonce: str | None
    session_id: str | None

    def strength(self) -> dict[str, Any]:
        """What an API may ask more of (RFC 9470)."""
        claims: dict[str, Any] = {"auth_time": self.authenticated_at // 1000}
        if self.acr:
            claims["acr"] = self.acr
        return claims

    def claims(self) -> dict[str, Any]:
        claims = self.strength()
        if self.amr:
            claims["amr"] = list(self.amr)
        return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Everything an access token for an API is made from."""

    issuer: str
    client: ClientConfiguration
    server: ResourceServerConfiguration
    sub: str
    scope: tuple[str, ...]
    permissions: frozenset[str]
    organization: Mapping[str, Any]  # `organization_claims`
    jti: str
    jkt: str | None  # the key that it is bound to (RFC 9449 section 6)
    now: int  # seconds
    login: Login | None  # None: a client in its own name

    @property
    def lifetime(self) -> int:
        return token_lifetime(self.client, self.server)


def token_type(jkt: str | None) -> str:
    return "Bearer" if jkt is None else "DPoP"


def token_lifetime(client: ClientConfiguration, server: ResourceServerConfiguration | None) -> int:
    """Seconds. Applications that run in a browser have their own, shorter one."""
    if server is None:
        return OPAQUE_LIFETIME
    if client.app_type == "spa":
        return min(server.token_lifetime, server.token_lifetime_for_web)
    return server.token_lifetime


def access_token(grounds: Grounds, key: SigningKey) -> str:
    return jwt.sign(access_token_claims(grounds), key, typ=ACCESS_TOKEN_TYPE)


def access_token_claims(grounds: Grounds) -> dict[str, Any]:
    client_id, server, login = grounds.client.client_id, grounds.server, grounds.login
    claims: dict[str, Any] = {
        "iss": grounds.issuer,
        "sub": grounds.sub,
        "aud": _audience(grounds),
        "iat": grounds.now,
        "exp": grounds.now + grounds.lifetime,
        "jti": grounds.jti,
        "client_id": client_id,
        "azp": client_id,
        "scope": " ".join(grounds.scope),
    }
    if login is None:
        claims["gty"] = "client-credentials"
    elif login.session_id:
        claims["sid"] = login.session_id
    if login is not None:
        claims |= login.claims() if server.token_dialect in RFC_9068_DIALECTS else login.strength()
    if grounds.jkt is not None:
        claims["cnf"] = {"jkt": grounds.jkt}
    if server.enforce_policies and server.token_dialect in AUTHORIZATION_DIALECTS:
        claims["permissions"] = sorted(_permissions(grounds))
    return {**grounds.organization, **claims}


def _permissions(grounds: Grounds) -> frozenset[str]:
    """All that the person holds, as Auth0 has it; no more than they consented to for a client that has to ask them. And
    for one of devices: whoever is talked into approving somebody else's gives what the page names."""
    if grounds.client.is_for_devices or needs_consent(grounds.client, grounds.server):
        return grounds.permissions.intersection(grounds.scope)
    return grounds.permissions


def _audience(grounds: Grounds) -> str | list[str]:
    """With `openid` the token is also good for /userinfo, as Auth0's is."""
    if grounds.login is not None and "openid" in grounds.scope:
        return [grounds.server.identifier, f"{grounds.issuer}userinfo"]
    return grounds.server.identifier


def organization_claims(
    configuration: Configuration,
    organization: OrganizationClaims | None,
    told: Told = NOTHING,
    place: Place = "access_token",
) -> dict[str, Any]:
    """`specs/tenancy.md` section 7: the id always, the name where the tenant allows names. A tenant's other names for
    them stand beside these, never instead."""
    if organization is None:
        return {}
    known: dict[str, Any] = {"org_id": organization.id}
    if configuration.settings.allow_organization_name_in_authentication_api:
        known["org_name"] = organization.name
    options = configuration.documents.value(OPTIONS)
    if told is NOTHING and not options.claim_aliases:
        return known
    role = {} if told.role is None else {"org_role": told.role}
    also: dict[str, Any] = {
        alias: value
        for alias, name in options.claim_aliases.items()
        if (value := {**known, **role}.get(name)) is not None
    }
    return {**also, **told.at(place), **(role if options.organization_role_claim else {}), **known}


def id_token(
    *,
    issuer: str,
    client: ClientConfiguration,
    sub: str,
    now: int,
    login: Login,
    access_token: str,
    organization: Mapping[str, Any],
    extra: Mapping[str, Any],
    key: SigningKey,
) -> str:
    """OpenID Connect Core 1.0, sections 2 and 3.1.3.6; `extra` are claims about the user and never wins."""
    claims: dict[str, Any] = {
        **extra,
        **organization,
        "iss": issuer,
        "sub": sub,
        "aud": client.client_id,
        "azp": client.client_id,
        "iat": now,
        "exp": now + id_token_lifetime(client),
        **login.claims(),
        "at_hash": token_hash(access_token, key.alg),
    }
    if login.nonce:
        claims["nonce"] = login.nonce
    if login.session_id:
        claims["sid"] = login.session_id
    return jwt.sign(claims, key, typ=ID_TOKEN_TYPE)


def id_token_lifetime(client: ClientConfiguration) -> int:
    seconds = client.jwt_configuration.get("lifetime_in_seconds")
    return seconds if isinstance(seconds, int) and seconds > 0 else ID_TOKEN_LIFETIME


def token_hash(token: str, algorithm: str) -> str:
    """OpenID Connect Core 1.0, section 3.1.3.6: the left half of the hash that the signature uses."""
    name = "sha512" if algorithm in ("EdDSA", "Ed25519") else f"sha{algorithm[2:]}"
    hashed = hashlib.new(name, token.encode("ascii")).digest()
    return urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode("ascii")
