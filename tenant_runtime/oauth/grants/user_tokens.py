"""The tokens of a person's authorization: what is written with them, and the answer that carries them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, String, bindparam, insert, select

from core.database import Prepared
from core.errors import InvalidGrant, InvalidRequest
from core.ids import digest, new_secret
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, ResourceServerConfiguration
from tenant_runtime.models import AccessToken, FamilyLogin, RefreshFamily, RefreshToken, SessionContext
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.keys.signing import signing_key
from tenant_runtime.oauth.policy import granted_scope, may_be_offline, needs_permissions, permissions_of
from tenant_runtime.oauth.tokens import claims, issuing
from tenant_runtime.oauth.tokens.families import new_jti
from tenant_runtime.oauth.tokens.refresh_policy import refresh_policy
from tenant_runtime.oauth.tokens.subject import Subject
from tenant_runtime.organizations.claims import Told, read_told
from tenant_runtime.organizations.membership import resolve_organization
from tenant_runtime.organizations.policies import LoggedIn

_c = SessionContext.__table__.c
_INSERT_LOGIN = Prepared(insert(FamilyLogin.__table__))
_INSERT_LOGIN_OF_SESSION = Prepared(
    insert(FamilyLogin.__table__).from_select(
        ["family_id", "connection_id"],
        select(bindparam("family", type_=String), _c.connection_id).where(
            _c.session_id == bindparam("session"), _c.connection_id.is_not(None)
        ),
    )
)
_INSERT_FAMILY = Prepared(insert(RefreshFamily.__table__))
_INSERT_REFRESH = Prepared(insert(RefreshToken.__table__))
_INSERT_OPAQUE = Prepared(insert(AccessToken.__table__))


@dataclass(frozen=True, slots=True)
class Minted:
    """Random values made before the unit: which of them are used is known inside it."""

    refresh_token: str
    access_token: str

    @classmethod
    def new(cls) -> "Minted":
        return cls(new_secret(), new_secret())


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What a person authorized, as a code or a refresh family remembers it."""

    family_id: str
    scope: tuple[str, ...]
    audience: str | None
    requested_claims: Mapping[str, Any] | None
    login: issuing.Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What the unit decided and wrote; the tokens are made from it after the commit."""

    authorization: Authorization
    subject: Subject
    server: ResourceServerConfiguration | None
    scope: tuple[str, ...]
    permissions: frozenset[str]
    told: Told
    refresh_token: str | None


def server_of(configuration: Configuration, audience: str | None) -> ResourceServerConfiguration | None:
    if audience is None:
        return None
    server = configuration.audiences.get(audience)
    if server is None:
        raise InvalidGrant("The API that was authorized does not exist any more.")
    return server


def switched_organization(
    connection: Connection, request: TokenRequest, organization: str, user_id: str, login: LoggedIn
) -> str:
    """The id of the organization that a request names for its tokens; membership is checked now."""
    if request.client.configuration.organization_usage == "deny":
        raise InvalidRequest("The client may not be used with an organization.")
    found = resolve_organization(
        connection,
        organization,
        user_id=user_id,
        rules=request.configuration.organization_rules,
        login=login,
        now=request.call.now_ms,
    )
    return found.id


def begin_family(
    connection: Connection,
    request: TokenRequest,
    authorization: Authorization,
    subject: Subject,
    how: LoggedIn,
) -> bool:
    """Whether there is a refresh token; then the row of its family is written, and how the person logged in."""
    client, now_ms, login = request.client.configuration, request.call.now_ms, authorization.login
    server = server_of(request.configuration, authorization.audience)
    if "offline_access" not in authorization.scope or not may_be_offline(client, server):
        return False
    policy = refresh_policy(client)
    row = {
        "id": authorization.family_id,
        "issuer": request.call.tenant.issuer,
        "client_id": client.client_id,
        "user_id": subject.user.user_id,
        "session_id": login.session_id,
        "organization_id": subject.organization_id,
        "scope": " ".join(authorization.scope),
        "audience": authorization.audience,
        "nonce": login.nonce,
        "acr": login.acr,
        "amr": list(login.amr),
        "claims": authorization.requested_claims,
        "dpop_jkt": request.jkt,
        "authenticated_at": login.authenticated_at,
        "created_at": now_ms,
        "used_at": now_ms,
        "idle_expires_at": policy.idle_expires_at(now_ms),
        "expires_at": policy.expires_at(now_ms),
        "revoked_at": None,
    }
    _INSERT_FAMILY.run(connection, row)
    _remember_login(connection, request, authorization.family_id, how)
    return True


def _remember_login(connection: Connection, request: TokenRequest, family_id: str, how: LoggedIn) -> None:
    if not request.configuration.has_organization_api:
        return
    if how.connection_id is not None:
        _INSERT_LOGIN.run(connection, {"family_id": family_id, "connection_id": how.connection_id})
    elif how.session_id is not None:
        _INSERT_LOGIN_OF_SESSION.run(connection, {"family": family_id, "session": how.session_id})


def issue(
    connection: Connection,
    request: TokenRequest,
    authorization: Authorization,
    subject: Subject,
    minted: Minted,
    *,
    with_refresh_token: bool,
) -> Issued:
    """The last part of each unit: what the person holds now, and the rows of the tokens."""
    configuration, user_id = request.configuration, subject.user.user_id
    _require_usage(request, subject)
    server = server_of(configuration, authorization.audience)
    request.require_holder(server)
    permissions = frozenset[str]()
    if server is not None and needs_permissions(server):
        permissions = permissions_of(
            connection,
            configuration,
            user_id=user_id,
            organization_id=subject.organization_id,
            server=server,
        )
    scope = granted_scope(authorization.scope, server, permissions)
    if with_refresh_token:
        _INSERT_REFRESH.run(connection, _refresh_row(request, authorization, subject, minted))
    if server is None:
        _INSERT_OPAQUE.run(connection, _opaque_row(request, authorization, subject, minted, scope))
    return Issued(
        authorization=authorization,
        subject=subject,
        server=server,
        scope=scope,
        permissions=permissions,
        told=read_told(
            connection,
            configuration,
            subject,
            scope,
            authorization.requested_claims,
            request.call.now_ms,
        ),
        refresh_token=minted.refresh_token if with_refresh_token else None,
    )


def _require_usage(request: TokenRequest, subject: Subject) -> None:
    """What the client says of organizations may have changed since the login."""
    usage, organization_id = request.client.configuration.organization_usage, subject.organization_id
    if usage == "deny" and organization_id is not None:
        raise InvalidGrant("The client may not be used with an organization.")
    if usage == "require" and organization_id is None:
        raise InvalidGrant("The client may be used with an organization only.")


def _refresh_row(
    request: TokenRequest, authorization: Authorization, subject: Subject, minted: Minted
) -> dict[str, Any]:
    return {
        "digest": digest(minted.refresh_token),
        "family_id": authorization.family_id,
        "organization_id": subject.organization_id,
        "created_at": request.call.now_ms,
        "used_at": None,
    }


def _opaque_row(
    request: TokenRequest,
    authorization: Authorization,
    subject: Subject,
    minted: Minted,
    scope: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "digest": digest(minted.access_token),
        "family_id": authorization.family_id,
        "issuer": request.call.tenant.issuer,
        "client_id": request.client.client_id,
        "user_id": subject.user.user_id,
        "session_id": authorization.login.session_id,
        "organization_id": subject.organization_id,
        "scope": " ".join(scope),
        "claims": authorization.requested_claims,
        "dpop_jkt": request.jkt,
        "created_at": request.call.now_ms,
        "expires_at": request.call.now_ms + issuing.OPAQUE_LIFETIME * 1000,
        "revoked_at": None,
    }


def tell(request: TokenRequest, event: Event, issued: Issued) -> None:
    """What succeeded goes to the log in batches; what was refused for good is written with the refusal."""
    told = replace(
        event,
        user_id=issued.subject.user.user_id,
        organization_id=issued.subject.organization_id,
        audience=issued.authorization.audience,
        scope=" ".join(issued.scope),
    )
    request.call.services.audit.add(request.call.tenant, told)


async def answer(request: TokenRequest, issued: Issued, minted: Minted) -> dict[str, Any]:
    """RFC 6749 section 5.1 and OpenID Connect Core 1.0 section 3.1.3.3."""
    access_token = minted.access_token
    if issued.server is not None:
        access_token = await _access_token(request, issued, issued.server)
    body: dict[str, Any] = {
        "access_token": access_token,
        "token_type": issuing.token_type(request.jkt),
        "expires_in": issuing.token_lifetime(request.client.configuration, issued.server),
        "scope": " ".join(issued.scope),
    }
    if issued.refresh_token is not None:
        body["refresh_token"] = issued.refresh_token
    if "openid" in issued.scope:
        body["id_token"] = await _id_token(request, issued, access_token)
    return body


async def _access_token(request: TokenRequest, issued: Issued, server: ResourceServerConfiguration) -> str:
    call = request.call
    key = await signing_key(
        call.tenant, call.services, request.configuration, server.signing_alg, call.now_ms
    )
    return issuing.access_token(grounds_of(request, issued, server), key)


def grounds_of(request: TokenRequest, issued: Issued, server: ResourceServerConfiguration) -> issuing.Grounds:
    call = request.call
    return issuing.Grounds(
        issuer=call.tenant.issuer,
        client=request.client.configuration,
        server=server,
        sub=issued.subject.user.user_id,
        scope=issued.scope,
        permissions=issued.permissions,
        organization=issuing.organization_claims(
            request.configuration, issued.subject.organization, issued.told
        ),
        jti=new_jti(issued.authorization.family_id),
        jkt=request.jkt,
        now=call.now_ms // 1000,
        login=issued.authorization.login,
    )


async def _id_token(request: TokenRequest, issued: Issued, access_token: str) -> str:
    call, client = request.call, request.client.configuration
    algorithm = client.id_token_signing_alg
    return issuing.id_token(
        issuer=call.tenant.issuer,
        client=client,
        sub=issued.subject.user.user_id,
        now=call.now_ms // 1000,
        login=issued.authorization.login,
        access_token=access_token,
        organization=issuing.organization_claims(
            request.configuration, issued.subject.organization, issued.told, "id_token"
        ),
        extra=claims.id_token_claims(
            issued.subject.user,
            issued.authorization.requested_claims,
            issued.scope if client.jwt_configuration.get("scope_claims") is True else (),
        ),
        key=await signing_key(call.tenant, call.services, request.configuration, algorithm, call.now_ms),
    )
