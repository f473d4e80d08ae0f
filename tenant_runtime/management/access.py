"""Who may come to the Management API of this tenant, decided from the verified token alone (`DESIGN.md` section 5).

Two kinds of token are good here: the tenant's own, and tenant one's. A token of tenant one reaches a child by the
organization that stands for it, or by a platform permission. Host, header and query may only agree with that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from litestar.handlers.base import BaseRouteHandler
from sqlalchemy import Connection

from core.clock import now_ms
from core.crypto.jwt import TokenInvalid, check_times, verify
from core.crypto.keys import PublicKeys
from core.errors import (
    IdentityError,
    InsufficientReach,
    InsufficientScope,
    InvalidDpopProof,
    Unauthenticated,
    UseDpopNonce,
)
from core.given import consent_of
from core.http.allowances import MANAGEMENT, count_call
from core.http.security import header_values, shown_token
from core.settings import is_loopback
from core.tenants import Tenant
from tenant_runtime.admission import too_many
from tenant_runtime.configuration import ResourceServerConfiguration, configuration
from tenant_runtime.dependencies import AnyConnection, Services, services_of, tenant_of
from tenant_runtime.management.permissions import PLATFORM
from tenant_runtime.oauth.dpop.proofs import (
    HEADER,
    NONCE_HEADER,
    Proof,
    bound_key,
    challenged,
    check_proof,
    require_holder,
)
from tenant_runtime.oauth.dpop.verification import Target
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.oauth.single_use import claim
from tenant_runtime.standing import still_stands

ACCESS_TOKEN = ("at+jwt",)
"""RFC 9068 section 4: an ID token or a logout token, signed by the same key, is refused."""

AT_THE_MACHINE = "actor_at_the_machine"
"""In a request's state: who acts by a command on this machine. The edge gives every request from outside a state of
its own, so nothing that comes over the network holds it."""

READING = frozenset({"GET", "HEAD"})
READS_ANY_TENANT = frozenset({"read:tenants", "update:tenants"})
CHANGES_ANY_TENANT = frozenset({"update:tenants"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a subject of an issuer, through a client. Permissions are those that count on this tenant."""

    issuer: str
    subject: str
    client_id: str | None
    permissions: frozenset[str]
    org_id: str | None
    is_machine: bool
    issued_at: int
    jti: str | None
    is_local: bool  # of this tenant's own issuer, so that `subject` may be one of its users
    jkt: str | None = None  # the key that the token is bound to
    consent: str = ""  # that the token rests on

    def holds(self, *any_of: str) -> bool:
        return not self.permissions.isdisjoint(any_of)

    def is_user(self, user_id: str) -> bool:
        """An equal `sub` of another issuer is another person."""
        return self.is_local and not self.is_machine and self.subject == user_id


@dataclass(frozen=True, slots=True)
class Requires:
    """The guard of a handler: a good token, reach to this tenant, and any one of the permissions."""

    permissions: tuple[str, ...]

    async def __call__(self, connection: AnyConnection, _: BaseRouteHandler) -> None:
        connection.scope["state"]["actor"] = actor = await admitted(connection)
        if not actor.holds(*self.permissions):
            missing = InsufficientScope(*self.permissions)
            raise missing if actor.jkt is None else challenged(missing)


def requires(*any_of: str) -> Requires:
    return Requires(any_of)


def actor_of(connection: AnyConnection) -> Actor:
    actor: Actor = connection.scope["state"]["actor"]
    return actor


async def admitted(connection: AnyConnection) -> Actor:
    """Who is known, and asks no more than their client may."""
    tenant, services, state = tenant_of(connection), services_of(connection), connection.scope["state"]
    try:
        actor = await authenticate(connection)
    except IdentityError:
        count_call(services.allowances, state, tenant, None, services.clock.now())
        raise
    caller = f"{actor.issuer} {actor.client_id or actor.subject}"
    wait = count_call(services.allowances, state, tenant, caller, services.clock.now())
    if wait > 0.0:
        raise too_many(services, state, tenant, MANAGEMENT, wait)
    return actor


async def authenticate(connection: AnyConnection) -> Actor:
    at_machine: Actor | None = connection.scope["state"].get(AT_THE_MACHINE)
    if at_machine is not None:
        return at_machine
    tenant, services = tenant_of(connection), services_of(connection)
    shown = shown_token(connection.scope["headers"])
    if shown is None:
        raise Unauthenticated()
    if not shown.is_dpop:
        actor = await _authenticated(tenant, services, shown.token, None)
    else:
        actor = await _with_proof(connection, shown.token)
    check_reach(actor, tenant, is_reading=connection.scope.get("method") in READING)
    check_selection(tenant, connection)
    return actor


async def require_standing(connection: AnyConnection) -> None:
    """Once more, when the body is there: it may take its time to come, and its sender's power end."""
    if connection.scope["state"].get(AT_THE_MACHINE) is not None:
        return
    if not await _still_stands(actor_of(connection), tenant_of(connection), services_of(connection), None):
        raise Unauthenticated()


async def _with_proof(connection: AnyConnection, token: str) -> Actor:
    """RFC 9449 section 7. The nonce that the answer may carry is put where the edge finds it."""
    tenant, services, scope = tenant_of(connection), services_of(connection), connection.scope
    is_selected = scope["state"].get(
        "selected_by_header", False
    )  # sent to tenant one's host, for this tenant
    origins = tenant.control_plane_issuers if is_selected else (tenant.origin,)
    target = Target(str(scope.get("method")), origins, scope["path"], token)
    given = [value for name, value in scope["headers"] if name == HEADER]
    try:
        proof = check_proof(tenant, given, target, now_ms(services.clock))
        if proof.next_nonce is not None:
            scope["state"]["answer_headers"] = [(NONCE_HEADER, proof.next_nonce.encode("ascii"))]
        actor = await _authenticated(tenant, services, token, proof)
    except (Unauthenticated, InvalidDpopProof, UseDpopNonce) as error:
        raise challenged(error) from error
    return actor


async def _authenticated(tenant: Tenant, services: Services, token: str, proof: Proof | None) -> Actor:
    try:
        actor = await _verified(token, tenant, services)
    except TokenInvalid as refused:
        raise Unauthenticated() from refused
    require_holder(actor.jkt, proof, Unauthenticated)
    if not await _still_stands(actor, tenant, services, proof):
        raise Unauthenticated()
    return actor


async def _still_stands(actor: Actor, tenant: Tenant, services: Services, proof: Proof | None) -> bool:
    """Asked of the tenant that issued the token: there its holder lives. The proof of one that stands counts once, in
    the tenant it was sent to."""
    if actor.is_local:
        run = tenant.database.read if proof is None else tenant.database.write
        return await run(_stands, actor, proof)
    operators = services.operators
    stands = operators is not None and await operators.still_stand(
        actor.subject, actor.issued_at, actor.jti, actor.consent, actor.org_id
    )
    if stands and proof is not None:
        await tenant.database.write(claim, (proof.used,))
    return stands


def _stands(connection: Connection, actor: Actor, proof: Proof | None) -> bool:
    stands = still_stands(connection, actor.subject, actor.issued_at, actor.jti, actor.consent, actor.org_id)
    if stands and proof is not None:
        claim(connection, (proof.used,))
    return stands


async def _verified(token: str, tenant: Tenant, services: Services) -> Actor:
    """The tenant's own keys are asked first; tenant one's may sign here only as tenant one."""
    now = services.clock.now()
    own = await configuration(tenant)
    try:
        signed = _signed(token, own.keys.public, True, tenant.is_control_plane)
        return _accepted(signed, tenant.issuers, now, own.audiences)
    except TokenInvalid as refused:
        if refused.reason != "kid" or tenant.is_control_plane or services.control_plane_keys is None:
            raise
    keys = await services.control_plane_keys()
    return _accepted(_signed(token, keys, False, True), tenant.control_plane_issuers, now, {})


Apis: TypeAlias = Mapping[str, ResourceServerConfiguration]
"""By identifier."""


@dataclass(frozen=True, slots=True)
class _Signed:
    claims: Mapping[str, Any]
    actor: Actor


@lru_cache(512)
def _signed(token: str, keys: PublicKeys, is_local: bool, is_platform: bool) -> _Signed:
    """What follows from the token and the keys alone, and so need not be found out twice: an application shows one
    token for hours. Changed keys are another object. Whether it may do anything now and here is asked each time."""
    claims = verify(token, keys, algorithms=ALGORITHMS, typ=ACCESS_TOKEN)
    return _Signed(claims, _actor(claims, is_local=is_local, is_platform=is_platform))


def _accepted(signed: _Signed, issuers: frozenset[str], now: float, apis: Apis) -> Actor:
    if signed.actor.issuer not in issuers:
        raise TokenInvalid("issuer")
    check_times(signed.claims, now)
    _check_audience(signed.claims.get("aud"), issuers, apis)
    return signed.actor


def _check_audience(audience: Any, issuers: frozenset[str], apis: Apis) -> None:
    """Ours, and beside it at most the issuer's /userinfo: a token for many is a token for others. Nor is one for an API
    that had a name of ours before the tenant had the domain."""
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not all(isinstance(item, str) for item in named):
        raise TokenInvalid("audience")
    ours, beside = _audiences(issuers)
    if ours.isdisjoint(named) or not (ours | beside).issuperset(named):
        raise TokenInvalid("audience")
    if any(name in apis and not apis[name].is_management for name in ours.intersection(named)):
        raise TokenInvalid("audience")


@lru_cache(4096)
def _audiences(issuers: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    ours = {spelling for issuer in issuers for spelling in _spellings(f"{issuer}api/v2/")}
    return frozenset(ours), frozenset(f"{issuer}userinfo" for issuer in issuers)


def _spellings(audience: str) -> tuple[str, ...]:
    """Clients that always write https may do so on plain-http loopback (`specs/management-api.md` section 1)."""
    if audience.startswith("http://") and is_loopback(urlsplit(audience).hostname or ""):
        return audience, f"https://{audience.removeprefix('http://')}"
    return (audience,)


def _actor(claims: Mapping[str, Any], *, is_local: bool, is_platform: bool) -> Actor:
    """Platform permissions are tenant one's, and never count beside an organization."""
    issuer, subject, org_id = claims.get("iss"), claims.get("sub"), claims.get("org_id")
    client_id = claims.get("azp", claims.get("client_id"))
    if not isinstance(issuer, str):
        raise TokenInvalid("issuer")
    if not isinstance(subject, str) or not subject:
        raise TokenInvalid("subject")
    if not isinstance(claims.get("iat", 0), int | float) or not isinstance(claims.get("jti"), str | None):
        raise TokenInvalid("claims")
    if not isinstance(org_id, str | None) or not isinstance(client_id, str | None):
        raise TokenInvalid("claims")
    if "act" in claims:  # RFC 8693 section 4.1: power over others is used by who was given it
        raise TokenInvalid("act")
    permissions = frozenset(_permissions(claims))
    return Actor(
        issuer=issuer,
        subject=subject,
        client_id=client_id,
        permissions=permissions if is_platform and org_id is None else permissions - PLATFORM.keys(),
        org_id=org_id,
        is_machine=claims.get("gty") == "client-credentials" or subject.endswith("@clients"),
        issued_at=int(claims.get("iat", 0)),
        jti=claims.get("jti"),
        is_local=is_local,
        jkt=bound_key(claims),
        consent=consent_of(claims),
    )


def _permissions(claims: Mapping[str, Any]) -> Iterable[str]:
    scope, permissions = claims.get("scope", ""), claims.get("permissions", [])
    if not isinstance(scope, str) or not isinstance(permissions, list):
        raise TokenInvalid("scope")
    if not all(isinstance(item, str) for item in permissions):
        raise TokenInvalid("permissions")
    return (*scope.split(), *permissions)


def check_reach(actor: Actor, tenant: Tenant, *, is_reading: bool) -> None:
    if tenant.is_control_plane:
        allowed = actor.org_id is None  # one bound to an organization acts on that organization's tenant
    elif actor.is_local:
        allowed = True
    elif actor.org_id is not None:
        allowed = actor.org_id == tenant.organization_id
    else:
        allowed = actor.holds(*(READS_ANY_TENANT if is_reading else CHANGES_ANY_TENANT))
    if not allowed:
        raise InsufficientReach()


def check_selection(tenant: Tenant, connection: AnyConnection) -> None:
    """A header or a query that names a tenant may only name this one."""
    named = {
        *header_values(connection.scope["headers"], "tenant-id"),
        *connection.query_params.getall("tenant_id", []),
    }
    if named - {tenant.id}:
        raise InsufficientReach()
