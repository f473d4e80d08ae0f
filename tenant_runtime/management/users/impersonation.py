"""`POST /api/v2/users/{id}/impersonation`: a token in a user's name, for a person who has to see what the user sees.

The token says who acts (`act`, RFC 8693 section 4.1: subject and issuer of the actor), is for one API, lasts half an
hour at most, is not refreshed, and is exchanged for nothing. It opens neither this API nor the platform's. Nobody gets
one for a user who may do more here than they themselves, nor for anybody who runs the platform. Why it was made is
written down before it is handed out: in the tenant's log, in the log of the user, and on tenant one for whoever came
from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection

from core.clock import to_iso
from core.crypto import jwt
from core.errors import Forbidden, IdentityError, InvalidInput, NotFound
from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import ClientConfiguration, Configuration, ResourceServerConfiguration
from tenant_runtime.limits import Limit, take
from tenant_runtime.login.consents import Consent, is_covered
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import Body, Id, Maybe
from tenant_runtime.management.routing import creating, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.oauth.keys.signing import signing_key
from tenant_runtime.oauth.policy import (
    cut_scope,
    granted_scope,
    needs_consent,
    needs_permissions,
    permissions_of,
    resolve_audience,
)
from tenant_runtime.oauth.tokens import issuing
from tenant_runtime.oauth.tokens.families import new_jti, refuse_tokens
from tenant_runtime.oauth.tokens.subject import Subject, load_subject
from tenant_runtime.organizations.claims import read_told
from tenant_runtime.organizations.membership import resolve_organization

PATH = "/users/{user_id:str}/impersonation"
LONGEST_SECONDS = 1800
FAMILY = "imp"
_AS_MANY = (Limit(30, 3_600_000),)
"""By one person. Whoever needs more of them does something else than helping users."""


class ImpersonationIn(Body):
    reason: Annotated[str, Meta(min_length=10, max_length=500, pattern=r"\S")]
    client_id: Id
    audience: Annotated[str, Meta(min_length=1, max_length=2048)]
    scope: Maybe[Annotated[str, Meta(max_length=2048)]] = UNSET
    organization: Maybe[Id] = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for, understood before the unit."""

    user_id: str
    actor: Actor
    reason: str
    client: ClientConfiguration
    server: ResourceServerConfiguration
    scope: tuple[str, ...]
    organization: str | None
    id: str
    now: int
    request_id: str


@creating(PATH, "create:impersonation", status_code=201)
async def create_impersonation(
    call: CallOf, user_id: FromPath[str], data: JSONBody[ImpersonationIn]
) -> dict[str, Any]:
    await call.read(users.ENTITY.load, user_id)
    if call.actor.is_machine:
        raise Forbidden("Only a person acts in another's name.")
    if call.actor.is_user(user_id):
        raise Forbidden("Nobody acts in their own name by somebody else's.")
    configuration = await call.configuration()
    asked = _understood(call, configuration, user_id, data)
    claims = await call.write(_plan, call.tenant.issuer, configuration, asked)
    if not call.actor.is_local:
        await _tell_tenant_one(call, claims, asked)
    key = await signing_key(call.tenant, call.services, configuration, asked.server.signing_alg, call.now)
    return {
        "id": claims["jti"].partition(".")[0],
        "access_token": jwt.sign(claims, key, typ=issuing.ACCESS_TOKEN_TYPE),
        "token_type": issuing.token_type(None),
        "expires_in": claims["exp"] - claims["iat"],
        "expires_at": to_iso(claims["exp"] * 1000),
        "scope": claims["scope"],
    }


@removing(f"{PATH}/{{id:str}}", "create:impersonation")
async def delete_impersonation(call: CallOf, user_id: FromPath[str], id: FromPath[str]) -> None:
    """The token is refused here from now on; an API that does not ask takes it until it ends by itself."""
    await call.write(_end, user_id, id, call.now)


handlers = [create_impersonation, delete_impersonation]


def _understood(call: Call, configuration: Configuration, user_id: str, data: ImpersonationIn) -> _Asked:
    client = configuration.clients.get(data.client_id)
    if client is None or not client.grant_types:
        raise NotFound("client")
    server = _server(configuration, data.audience)
    organization = None if data.organization is UNSET else data.organization
    _check_usage(client, organization)
    wanted = None if data.scope is UNSET else data.scope
    scope = cut_scope(configuration, client, server, wanted)
    return _Asked(
        user_id=user_id,
        actor=call.actor,
        reason=data.reason,
        client=client,
        server=server,
        scope=tuple(item for item in scope if item != "offline_access"),
        organization=organization,
        id=new_id(FAMILY),
        now=call.now,
        request_id=str(call.request.scope["state"]["request_id"]),
    )


def _server(configuration: Configuration, audience: str) -> ResourceServerConfiguration:
    try:
        server = resolve_audience(configuration, audience)
    except IdentityError as unknown:
        raise NotFound("resource_server") from unknown
    if server is None or server.is_management:
        raise Forbidden("The Management API takes no token in another's name.")
    if server.requires_dpop:
        raise InvalidInput("This API takes only tokens that are bound to a key.")
    return server


def _check_usage(client: ClientConfiguration, organization: str | None) -> None:
    if client.organization_usage == "deny" and organization is not None:
        raise InvalidInput("The client may not be used with an organization.")
    if client.organization_usage == "require" and organization is None:
        raise InvalidInput("The client may be used with an organization only.")


def _plan(connection: Connection, issuer: str, configuration: Configuration, asked: _Asked) -> Written:
    """The claims, decided and written down; the token is signed after the commit."""
    users.ENTITY.load(connection, asked.user_id)
    escalation.check_no_operator(connection, asked.user_id)
    escalation.check_user(connection, asked.actor, asked.user_id)
    whose = f"{asked.actor.issuer} {asked.actor.subject}"
    take(connection, "impersonation", whose, asked.now, _AS_MANY)
    subject = _subject(connection, configuration, asked)
    claims = _claims(connection, issuer, configuration, asked, subject)
    told = {
        "id": asked.id,
        "user_id": asked.user_id,
        "reason": asked.reason,
        "client_id": asked.client.client_id,
        "audience": asked.server.identifier,
        "scope": claims["scope"],
        "organization_id": subject.organization_id,
        "act": claims["act"],
        "expires_at": to_iso(claims["exp"] * 1000),
    }
    record(connection, _of_user(asked, told))
    description = f"Impersonate user {asked.user_id}"
    return Written(answer=claims, after=told, description=description)


def _subject(connection: Connection, configuration: Configuration, asked: _Asked) -> Subject:
    organization_id = None
    if asked.organization is not None:
        rules = configuration.organization_rules
        found = resolve_organization(
            connection,
            asked.organization,
            user_id=asked.user_id,
            rules=rules,
            login=None,
            now=asked.now,
        )
        organization_id = found.id
    subject = load_subject(
        connection,
        user_id=asked.user_id,
        session_id=None,
        organization_id=organization_id,
        family_id=asked.id,
    )
    refused = subject is None or subject.refusal(asked.now)
    if subject is None or refused:
        raise Forbidden(str(refused) if subject is not None else "The user does not exist.")
    return subject


def _claims(
    connection: Connection, issuer: str, configuration: Configuration, asked: _Asked, subject: Subject
) -> dict[str, Any]:
    permissions = frozenset[str]()
    if needs_permissions(asked.server):
        permissions = permissions_of(
            connection,
            configuration,
            user_id=asked.user_id,
            organization_id=subject.organization_id,
            server=asked.server,
        )
    scope = granted_scope(asked.scope, asked.server, permissions)
    _require_consent(connection, asked, subject, scope)
    now = asked.now // 1000
    login = issuing.Login(authenticated_at=0, acr=None, amr=(), nonce=None, session_id=None)
    grounds = issuing.Grounds(
        issuer=issuer,
        client=asked.client,
        server=asked.server,
        sub=asked.user_id,
        scope=scope,
        permissions=permissions,
        organization=issuing.organization_claims(
            configuration,
            subject.organization,
            read_told(connection, configuration, subject, scope, None, asked.now),
        ),
        jti=new_jti(asked.id),
        jkt=None,
        now=now,
        login=login,
    )
    claims = issuing.access_token_claims(grounds)
    claims.pop("auth_time", None)  # the user has not signed in
    claims["exp"] = now + min(grounds.lifetime, LONGEST_SECONDS)
    claims["act"] = {"sub": asked.actor.subject, "iss": asked.actor.issuer}
    return claims


def _require_consent(connection: Connection, asked: _Asked, subject: Subject, scope: tuple[str, ...]) -> None:
    """Nobody consents in somebody else's name."""
    if not needs_consent(asked.client, asked.server):
        return
    needed = Consent(
        user_id=asked.user_id,
        client_id=asked.client.client_id,
        audience=asked.server.identifier,
        organization_id=subject.organization_id or "",
        scope=scope,
    )
    if not is_covered(connection, needed):
        raise Forbidden("The user has not consented to this client.")


def _of_user(asked: _Asked, told: Mapping[str, Any]) -> Event:
    """What the user's own log says."""
    return Event(
        type="sapi",
        created_at=asked.now,
        description="A token in this user's name was given to somebody else",
        client_id=asked.client.client_id,
        client_name=asked.client.name,
        user_id=asked.user_id,
        organization_id=told["organization_id"],
        audience=told["audience"],
        scope=told["scope"],
        request_id=asked.request_id,
        details=dict(told),
    )


async def _tell_tenant_one(call: Call, claims: Mapping[str, Any], asked: _Asked) -> None:
    """Raises when it cannot be written there: then there is no token."""
    operators = call.services.operators
    if operators is None:
        raise Forbidden("Nobody from elsewhere acts in a user's name here.")
    details = {
        "tenant": call.tenant.id,
        "user_id": asked.user_id,
        "reason": asked.reason,
        "client_id": asked.client.client_id,
        "audience": asked.server.identifier,
        "scope": claims["scope"],
        "expires_at": to_iso(claims["exp"] * 1000),
    }
    description = f"Impersonate user {asked.user_id} of {call.tenant.id}"
    await operators.record(asked.actor.subject, description, details, asked.now, asked.request_id)


def _end(connection: Connection, user_id: str, id: str, now: int) -> Written:
    users.ENTITY.load(connection, user_id)
    if not _is_id(id):
        raise NotFound("impersonation")
    refuse_tokens(connection, id, now_ms=now, reason="impersonation")
    return Written(before={"id": id, "user_id": user_id})


def _is_id(id: str) -> bool:
    prefix, _, rest = id.partition("_")
    return prefix == FAMILY and len(rest) == 16 and rest.isascii() and rest.isalnum()
