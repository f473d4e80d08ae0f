"""The token exchange grant (RFC 8693): a person's access token for another one of theirs, never for more.

Two things are exchanged for. The client that holds a token has it for another organization of the person; and a
client goes on to another API in the person's name: the API that was called, or the application itself. The second is
delegation: it takes a client grant for that API, its scope is what grant and token have in common, and the new token
says who acts (`act`, section 4.1).

Whose token it is stands as it would at `/userinfo`: blocked, logged out, revoked or removed since, and there is
nothing to exchange. What is issued belongs to the same authorization and session, ends no later than what was shown,
and is neither refreshed nor accompanied by an ID token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, select

from core.crypto import jwt
from core.database import Prepared
from core.errors import (
    AccessDenied,
    ConsentRequired,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
)
from tenant_runtime.configuration import ResourceServerConfiguration
from tenant_runtime.login.consents import Consent, is_covered
from tenant_runtime.models import ClientGrant
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.grants.shown_tokens import (
    ACCESS_TOKEN,
    TYPES,
    Acting,
    act_of,
    audience_of,
    shown_actor,
    shown_subject,
)
from tenant_runtime.oauth.grants.user_tokens import (
    Authorization,
    Issued,
    Minted,
    grounds_of,
    issue,
    switched_organization,
    tell,
)
from tenant_runtime.oauth.keys.signing import signing_key
from tenant_runtime.oauth.policy import machine_scope, needs_consent, shown, split_scope
from tenant_runtime.oauth.tokens import issuing
from tenant_runtime.oauth.tokens.access_tokens import Presented
from tenant_runtime.oauth.tokens.families import is_revoked
from tenant_runtime.oauth.tokens.subject import Subject, load_subject

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
SUCCEEDED = "sete"
FAILED = "fete"

_g = ClientGrant.__table__.c
_GRANT = Prepared(
    select(_g.scope).where(_g.client_id == bindparam("client"), _g.audience == bindparam("audience"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    """What is asked for, understood before the unit."""

    subject: Presented
    server: ResourceServerConfiguration
    act: Acting | None
    """Who the new token says is acting. None: nobody but the client that the person uses."""

    actor: Presented | None
    organization: str | None
    scope: tuple[str, ...]
    issued_type: str


async def exchange(request: TokenRequest) -> dict[str, Any]:
    request.require_grant_type(GRANT_TYPE)
    if request.client.configuration.is_public:
        raise UnauthorizedClient("A public client may not exchange tokens.")
    asked = _asked(request)
    database, minted = request.call.tenant.database, Minted.new()
    run = database.write if request.counts_once else database.read
    issued = await run(_exchange, request, asked, minted)
    event = request.event(SUCCEEDED, details={"subject_token_client_id": asked.subject.client_id})
    tell(request, event, issued)
    return await _answer(request, asked, issued)


def _asked(request: TokenRequest) -> _Exchange:
    issued_type = request.parameters.get("requested_token_type", ACCESS_TOKEN)
    if issued_type not in TYPES:
        raise InvalidRequest("The requested_token_type is not supported.")
    subject, actor = shown_subject(request), shown_actor(request)
    server = _server(request, subject)
    is_own = subject.client_id == request.client.client_id and server.identifier in subject.audiences
    act = act_of(subject, request.client.client_id, is_delegation=not is_own or actor is not None)
    if act is not None and server.is_management:
        raise InvalidTarget("The Management API takes no delegated tokens.")
    return _Exchange(
        subject=subject,
        server=server,
        act=act,
        actor=actor,
        organization=request.parameters.get("organization"),
        scope=split_scope(request.parameters.get("scope")),
        issued_type=issued_type,
    )


def _server(request: TokenRequest, subject: Presented) -> ResourceServerConfiguration:
    """The API that is named, or the one that the token was for: the tenant's default is nobody's wish here."""
    if not {"audience", "resource"} & request.parameters.keys():
        return audience_of(request, subject)
    try:
        server = request.target()
    except AccessDenied as unknown:
        raise InvalidTarget from unknown
    if server is None:
        raise InvalidTarget
    return server


def _exchange(connection: Connection, request: TokenRequest, asked: _Exchange, minted: Minted) -> Issued:
    request.claim_single_use(connection)
    if asked.actor is not None and is_revoked(connection, asked.actor.jti):
        raise InvalidGrant("The actor_token was revoked.")
    subject = _subject(connection, request, asked)
    authorization = Authorization(
        family_id=asked.subject.family_id,
        scope=_scope(connection, request, asked, subject),
        audience=asked.server.identifier,
        requested_claims=None,
        login=_login(asked.subject),
    )
    _require_consent(connection, request, asked, subject, authorization.scope)
    issued = issue(connection, request, authorization, subject, minted, with_refresh_token=False)
    return replace(issued, permissions=issued.permissions & _bound(asked, authorization))


def _subject(connection: Connection, request: TokenRequest, asked: _Exchange) -> Subject:
    """As they stand where the token says, and then where the new one will."""
    now_in, login = asked.subject.organization_id, asked.subject.login()
    subject = _standing(connection, request, asked.subject, now_in)
    if asked.organization is None:
        subject.require_met(connection, login, request.call.now_ms)
        return subject
    wanted = switched_organization(connection, request, asked.organization, asked.subject.user_id, login)
    return subject if wanted == now_in else _standing(connection, request, asked.subject, wanted)


def _standing(
    connection: Connection, request: TokenRequest, presented: Presented, organization_id: str | None
) -> Subject:
    subject = load_subject(
        connection,
        user_id=presented.user_id,
        session_id=presented.session_id,
        organization_id=organization_id,
        family_id=presented.family_id,
        jti=presented.jti,
        consent=presented.consent,
        membership=presented.membership,
        issued_at=presented.issued_at,
        client=request.client,
        now_ms=request.call.now_ms,
        rules=request.configuration.organization_rules,
    )
    if subject is None:
        raise InvalidGrant("The user does not exist.")
    problem = "The session has ended." if subject.session_is_dead else subject.refusal(presented.issued_at)
    if problem is not None:
        raise InvalidGrant(problem)
    return subject


def _scope(
    connection: Connection, request: TokenRequest, asked: _Exchange, subject: Subject
) -> tuple[str, ...]:
    """Never more than the token that was shown; what the person does not hold, `issue` leaves out."""
    allowed = asked.subject.scope
    if asked.act is not None:
        granted = machine_scope(
            _granted(connection, request, asked),
            asked.server,
            in_organization=subject.organization_id is not None,
        )
        allowed = tuple(scope for scope in granted if scope in allowed)
    if not set(asked.scope) <= set(allowed):
        raise InvalidScope("The scope exceeds the subject token or the client's grant.")
    return asked.scope or allowed


def _granted(connection: Connection, request: TokenRequest, asked: _Exchange) -> tuple[str, ...]:
    audience = asked.server.identifier
    grant = _GRANT.first(connection, {"client": request.client.client_id, "audience": audience})
    if grant is None:
        raise InvalidTarget(f"The client has no grant for the API {shown(audience)}.")
    return tuple(grant.scope)


def _bound(asked: _Exchange, authorization: Authorization) -> frozenset[str]:
    """`permissions` goes no further than `scope` does, and without any wish no further than what was shown."""
    if asked.act is not None or asked.scope:
        return frozenset(authorization.scope)
    listed = asked.subject.claims.get("permissions")
    return frozenset((*authorization.scope, *(listed if isinstance(listed, list) else ())))


def _require_consent(
    connection: Connection, request: TokenRequest, asked: _Exchange, subject: Subject, scope: tuple[str, ...]
) -> None:
    client = request.client.configuration
    if not needs_consent(client, asked.server):
        return
    needed = Consent(
        user_id=subject.user.user_id,
        client_id=client.client_id,
        audience=asked.server.identifier,
        organization_id=subject.organization_id or "",
        scope=scope,
    )
    if not is_covered(connection, needed):
        raise ConsentRequired


def _login(presented: Presented) -> issuing.Login:
    """What the token tells of it; a dialect that says nothing stays silent (`_claims`)."""
    claims = presented.claims
    auth_time, acr, amr = claims.get("auth_time"), claims.get("acr"), claims.get("amr")
    return issuing.Login(
        authenticated_at=auth_time * 1000 if isinstance(auth_time, int) else 0,
        acr=acr if isinstance(acr, str) else None,
        amr=tuple(amr) if isinstance(amr, list) else (),
        nonce=None,
        session_id=presented.session_id,
    )


async def _answer(request: TokenRequest, asked: _Exchange, issued: Issued) -> dict[str, Any]:
    """Section 2.2.1."""
    call = request.call
    key = await signing_key(
        call.tenant, call.services, request.configuration, asked.server.signing_alg, call.now_ms
    )
    claims = _claims(request, asked, issued)
    return {
        "access_token": jwt.sign(claims, key, typ=issuing.ACCESS_TOKEN_TYPE),
        "issued_token_type": asked.issued_type,
        "token_type": issuing.token_type(request.jkt),
        "expires_in": claims["exp"] - claims["iat"],
        "scope": " ".join(issued.scope),
    }


def _claims(request: TokenRequest, asked: _Exchange, issued: Issued) -> Mapping[str, Any]:
    claims = issuing.access_token_claims(grounds_of(request, issued, asked.server))
    claims["exp"] = min(claims["exp"], int(asked.subject.claims["exp"]))
    if "auth_time" not in asked.subject.claims:
        claims.pop("auth_time", None)
    if asked.act is not None:
        claims["act"] = asked.act.claim()
    return claims
