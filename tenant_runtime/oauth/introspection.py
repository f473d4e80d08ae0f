"""`POST /oauth/introspect` (RFC 7662): whether a token is good at this moment, told to those whom it concerns.

A client may ask about tokens that were issued to it; one that *is* an API (`resource_server_identifier`) about access
tokens for that API. To anybody else, and of whatever is unknown, foreign, expired or taken away, the answer is
`{"active": false}` and nothing more. Removal from an organization, blocking, logout, revocation and the end of a
client count at once. A tenant that is suspended answers nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, Row, bindparam, or_, select

from core.crypto import jwt
from core.database import Prepared
from core.errors import InvalidClient, InvalidRequest
from core.ids import digest
from tenant_runtime.configuration import configuration
from tenant_runtime.models import (
    ClientGrant,
    Organization,
    OrganizationClientGrant,
    RefreshFamily,
    RefreshToken,
)
from tenant_runtime.oauth.clients.authentication import authenticate, require_still
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.tokens.access_tokens import Presented, find_opaque, looks_like_jwt, read_jwt
from tenant_runtime.oauth.tokens.acting import actor_stands, is_impersonation
from tenant_runtime.oauth.tokens.families import is_revoked
from tenant_runtime.oauth.tokens.issuing import token_type
from tenant_runtime.oauth.tokens.subject import Subject, load_subject
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve
from tenant_runtime.organizations.policies import LoggedIn
from tenant_runtime.standing import MACHINE

METHODS = ("POST",)
INACTIVE: Mapping[str, Any] = {"active": False}
TOLD = (
    "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid", "org_id", "org_name", "permissions",
    "auth_time", "acr", "amr", "cnf", "act", "licenses", "entitlements", "org_permissions", "org_role",
    "organization_id", "organizationId", "role",
)  # fmt: skip
"""Of a JWT, what it says itself."""

_t, _f, _o = (model.__table__.c for model in (RefreshToken, RefreshFamily, Organization))
_REFRESH = Prepared(
    select(*_f, _t.used_at.label("token_used_at"), _t.organization_id.label("token_organization_id"))
    .join(RefreshToken.__table__, _t.family_id == _f.id)
    .where(_t.digest == bindparam("token"))
)

_g, _taken = ClientGrant.__table__.c, OrganizationClientGrant.__table__.c
_TAKES_CLIENT = Prepared(
    select(_o.id)
    .select_from(Organization.__table__)
    .join(
        ClientGrant.__table__, (_g.client_id == bindparam("client")) & (_g.audience == bindparam("audience"))
    )
    .outerjoin(
        OrganizationClientGrant.__table__,
        (_taken.client_grant_id == _g.id) & (_taken.organization_id == _o.id),
    )
    .where(
        _o.id == bindparam("organization"),
        _o.suspended_at.is_(None),
        or_(_g.organization_usage == "allow", _g.organization_usage == "require"),
        or_(_g.allow_any_organization.is_(True), _taken.client_grant_id.is_not(None)),
    )
)


@dataclass(frozen=True, slots=True)
class _Question:
    request: TokenRequest
    token_digest: str
    presented: Presented | None
    """A JWT of this tenant that is good by itself."""


@asgi("/oauth/introspect", copy_scope=False)
async def introspect(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _introspect)


async def _introspect(call: Call) -> Answer:
    parameters = await call.parameters()
    current = await configuration(call.tenant)
    request = TokenRequest(call, current, await authenticate(call, parameters, current), parameters)
    if request.client.configuration.is_public:
        raise InvalidClient("A public client may not introspect tokens.")
    if request.client.named not in (None, request.client.client_id):
        raise InvalidRequest("client_id names another client.")
    token = request.required("token")
    question = _Question(request, digest(token), await _own_jwt(request, token))
    run = call.tenant.database.read if request.client.used is None else call.tenant.database.write
    return json_answer(await run(_answer, question))


async def _own_jwt(request: TokenRequest, token: str) -> Presented | None:
    """`token_type_hint` is not needed to tell the kinds apart."""
    if not looks_like_jwt(token):
        return None
    call = request.call
    try:
        presented = read_jwt(token, call.tenant, request.configuration, call.now_ms / 1000)
    except jwt.TokenInvalid:
        return None
    return presented if await actor_stands(call.tenant, call.services, presented) else None


def _answer(connection: Connection, question: _Question) -> Mapping[str, Any]:
    request = question.request
    request.claim_single_use(connection)
    presented = question.presented or find_opaque(connection, question.token_digest, request.call.now_ms)
    if presented is not None:
        return _of_access_token(connection, request, presented)
    row = _REFRESH.first(connection, {"token": question.token_digest})
    if row is not None:
        return _of_refresh_token(connection, request, row)
    require_still(connection, request.client, request.call.now_ms)
    return INACTIVE


def _of_access_token(
    connection: Connection, request: TokenRequest, presented: Presented
) -> Mapping[str, Any]:
    if presented.user_id.endswith(MACHINE):
        require_still(connection, request.client, request.call.now_ms)
        subject, stands = None, _machine_stands(connection, request, presented)
    else:
        subject = _subject(connection, request, presented)
        stands = _stands(connection, request, subject, presented)
    if not stands or not _concerns(request, presented):
        return INACTIVE
    claims = presented.claims or _opaque_claims(presented, subject)
    return {
        "active": True,
        "token_type": token_type(presented.jkt),
        **{name: claims[name] for name in TOLD if name in claims},
    }


def _machine_stands(connection: Connection, request: TokenRequest, presented: Presented) -> bool:
    """For an organization: while it stands, and takes the client."""
    if is_revoked(connection, presented.jti):
        return False
    if presented.organization_id is None:
        return True
    key = {"client": presented.client_id, "audience": next(iter(presented.audiences), "")}
    return _TAKES_CLIENT.first(connection, {"organization": presented.organization_id, **key}) is not None


def _stands(
    connection: Connection, request: TokenRequest, subject: Subject | None, presented: Presented
) -> bool:
    """Whoever acts in somebody else's name did not log in as them."""
    if subject is None or subject.session_is_dead or subject.refusal(presented.issued_at) is not None:
        return False
    if is_impersonation(presented):
        return True
    return subject.unmet(connection, presented.login(), request.call.now_ms) is None


def _concerns(request: TokenRequest, presented: Presented) -> bool:
    """Issued to the client, or meant for the API that the client is; and whom it was issued to is still there."""
    client = request.client.configuration
    if presented.client_id not in request.configuration.clients:
        return False
    return presented.client_id == client.client_id or client.resource_server_identifier in presented.audiences


def _subject(connection: Connection, request: TokenRequest, presented: Presented) -> Subject | None:
    return load_subject(
        connection,
        user_id=presented.user_id,
        session_id=presented.session_id,
        organization_id=presented.organization_id,
        family_id=presented.family_id,
        jti=presented.jti,
        consent=presented.consent,
        membership=presented.membership,
        issued_at=presented.issued_at,
        client=request.client,
        now_ms=request.call.now_ms,
        rules=request.configuration.organization_rules,
    )


def _opaque_claims(presented: Presented, subject: Subject | None) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": presented.issuer,
        "sub": presented.user_id,
        "aud": list(presented.audiences),
        "exp": presented.expires_at // 1000,
        "iat": presented.issued_at // 1000,
        "client_id": presented.client_id,
        "scope": " ".join(presented.scope),
    }
    if presented.session_id is not None:
        claims["sid"] = presented.session_id
    if subject is not None and subject.organization is not None:
        claims["org_id"] = subject.organization.id
    if presented.jkt is not None:  # RFC 9449 section 6.2
        claims["cnf"] = {"jkt": presented.jkt}
    return claims


def _of_refresh_token(connection: Connection, request: TokenRequest, row: Row[Any]) -> Mapping[str, Any]:
    """Whether the token endpoint would take it now: of this client and issuer, unused, alive, of a person who
    stands."""
    now_ms = request.call.now_ms
    subject = load_subject(
        connection,
        user_id=row.user_id,
        session_id=row.session_id,
        organization_id=row.token_organization_id,
        family_id=row.id,
        client=request.client,
        now_ms=now_ms,
        rules=request.configuration.organization_rules,
    )
    login = LoggedIn(
        session_id=row.session_id,
        family_id=row.id,
        authenticated_at=row.authenticated_at,
        amr=tuple(row.amr),
    )
    ends = [end for end in (row.expires_at, row.idle_expires_at) if end is not None]
    if (
        row.client_id != request.client.client_id
        or row.issuer != request.call.tenant.issuer
        or row.token_used_at is not None
        or any(now_ms >= end for end in ends)
        or subject is None
        or subject.refusal(row.authenticated_at) is not None
        or subject.unmet(connection, login, now_ms) is not None
    ):
        return INACTIVE
    told: dict[str, Any] = {
        "active": True,
        "iss": row.issuer,
        "sub": row.user_id,
        "client_id": row.client_id,
        "scope": row.scope,
        "iat": row.created_at // 1000,
    }
    if ends:
        told["exp"] = min(ends) // 1000
    if row.token_organization_id is not None:
        told["org_id"] = row.token_organization_id
    return told
