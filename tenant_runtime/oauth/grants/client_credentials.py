"""The client credentials grant (RFC 6749 section 4.4): a client in its own name, for one API.

What it may have is its client grant for that API, read again in the unit together with the secret or key it showed,
so that a grant, secret or key taken away in another process counts at once. A token for an organization names it, and
then carries no platform scope; which organizations, the grant says. Never a refresh token, never an ID token.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from core.database import Prepared
from core.errors import AccessDenied, InvalidClient, InvalidRequest, InvalidScope, UnauthorizedClient
from core.ids import new_secret
from tenant_runtime.configuration import ResourceServerConfiguration
from tenant_runtime.models import ClientGrant, ClientSecret, Organization, OrganizationClientGrant
from tenant_runtime.oauth.clients.authentication import require_still
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.keys.signing import signing_key
from tenant_runtime.oauth.policy import machine_scope, shown, split_scope
from tenant_runtime.oauth.tokens import issuing
from tenant_runtime.oauth.tokens.families import new_jti
from tenant_runtime.oauth.tokens.subject import OrganizationClaims
from tenant_runtime.organizations.membership import UNKNOWN
from tenant_runtime.organizations.policies import Suspended
from tenant_runtime.organizations.rules import OrganizationRules

GRANT_TYPE = "client_credentials"
SUCCEEDED = "seccft"

_s, _g, _o = ClientSecret.__table__.c, ClientGrant.__table__.c, Organization.__table__.c
_mine = (_g.client_id == _s.client_id) & (_g.audience == bindparam("audience"))
_GRANT = Prepared(
    select(_g.id, _g.scope, _g.organization_usage, _g.allow_any_organization)
    .select_from(ClientSecret.__table__.outerjoin(ClientGrant.__table__, _mine))
    .where(
        _s.client_id == bindparam("client_id"),
        _s.digest == bindparam("digest"),
        or_(_s.expires_at.is_(None), _s.expires_at > bindparam("now")),
    )
)
_OWN = Prepared(
    select(_g.id, _g.scope, _g.organization_usage, _g.allow_any_organization).where(
        _g.client_id == bindparam("client_id"), _g.audience == bindparam("audience")
    )
)
"""For a client that showed no secret."""

_BY_ID = Prepared(select(_o.id, _o.name, _o.suspended_at).where(_o.id == bindparam("value")))
_BY_NAME = Prepared(select(_o.id, _o.name, _o.suspended_at).where(_o.name == bindparam("value")))
_og = OrganizationClientGrant.__table__.c
_GRANTED = Prepared(
    select(_og.client_grant_id).where(
        _og.organization_id == bindparam("organization"), _og.client_grant_id == bindparam("grant")
    )
)
NOT_FOR_IT = "The client may not act for this organization."


@dataclass(frozen=True, slots=True)
class _Asked:
    client_id: str
    secret_digest: str | None
    audience: str
    organization: str | None
    rules: OrganizationRules
    now_ms: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What the client's grant allows, and the organization it is for."""

    scope: tuple[str, ...]
    organization: OrganizationClaims | None


async def client_credentials(request: TokenRequest) -> dict[str, Any]:
    request.require_grant_type(GRANT_TYPE)
    if request.client.configuration.is_public:
        raise UnauthorizedClient("A public client has no credentials.")
    server = request.target()
    if server is None:
        raise AccessDenied("No audience parameter was given, and there is no default audience.")
    request.require_holder(server)
    asked = _Asked(
        request.client.client_id,
        request.client.secret_digest,
        server.identifier,
        request.parameters.get("organization"),
        request.configuration.organization_rules,
        request.call.now_ms,
    )
    database = request.call.tenant.database
    held = await (database.write if request.counts_once else database.read)(_held, request, asked)
    scope = _scope(request, server, held)
    answer = await _answer(request, server, scope, held.organization)
    _tell(request, server, scope, held.organization)
    return answer


def _held(connection: Connection, request: TokenRequest, asked: _Asked) -> _Held:
    request.claim_single_use(connection)
    grant = _grant(connection, request, asked)
    if grant is None or grant.id is None:
        raise AccessDenied(f"The client has no grant for the API {shown(asked.audience)}.")
    return _Held(tuple(grant.scope), _organization(connection, asked, grant))


def _grant(connection: Connection, request: TokenRequest, asked: _Asked) -> Row[Any] | None:
    """The grant, when what the client showed still holds."""
    if asked.secret_digest is None:
        require_still(connection, request.client, asked.now_ms)
        own: Row[Any] | None = _OWN.first(
            connection, {"client_id": asked.client_id, "audience": asked.audience}
        )
        return own
    key = {
        "client_id": asked.client_id,
        "digest": asked.secret_digest,
        "audience": asked.audience,
        "now": asked.now_ms,
    }
    found: Row[Any] | None = _GRANT.first(connection, key)
    if found is None:
        raise InvalidClient
    return found


def _organization(connection: Connection, asked: _Asked, grant: Row[Any]) -> OrganizationClaims | None:
    usage = grant.organization_usage or "deny"
    if asked.organization is None:
        if usage == "require":
            raise InvalidRequest("The client's grant requires an organization.")
        return None
    if usage == "deny":
        raise AccessDenied(NOT_FOR_IT)
    row = _find(connection, asked.organization, asked.rules.names_allowed)
    if not grant.allow_any_organization and not _is_granted(connection, asked, grant, row):
        raise AccessDenied(NOT_FOR_IT)
    if row is None:
        raise InvalidRequest(UNKNOWN)
    if row.suspended_at is not None:
        raise Suspended()
    return OrganizationClaims(row.id, row.name)


def _is_granted(connection: Connection, asked: _Asked, grant: Row[Any], row: Row[Any] | None) -> bool:
    if row is None:
        return False
    return _GRANTED.first(connection, {"organization": row.id, "grant": grant.id}) is not None


def _find(connection: Connection, value: str, names_allowed: bool) -> Row[Any] | None:
    if value.startswith("org_"):
        return _BY_ID.first(connection, {"value": value})
    if not names_allowed:
        return None
    return _BY_NAME.first(connection, {"value": value.lower()})


def _scope(request: TokenRequest, server: ResourceServerConfiguration, held: _Held) -> tuple[str, ...]:
    allowed = machine_scope(held.scope, server, in_organization=held.organization is not None)
    requested = split_scope(request.parameters.get("scope"))
    if not requested:
        return allowed
    if not set(requested) <= set(allowed):
        raise InvalidScope("The client's grant does not hold every scope that was asked for.")
    return requested


async def _answer(
    request: TokenRequest,
    server: ResourceServerConfiguration,
    scope: tuple[str, ...],
    organization: OrganizationClaims | None,
) -> dict[str, Any]:
    call, client = request.call, request.client.configuration
    key = await signing_key(
        call.tenant, call.services, request.configuration, server.signing_alg, call.now_ms
    )
    grounds = issuing.Grounds(
        issuer=call.tenant.issuer,
        client=client,
        server=server,
        sub=f"{client.client_id}@clients",
        scope=scope,
        permissions=frozenset(scope),
        organization=issuing.organization_claims(request.configuration, organization),
        jti=new_jti(f"fam_{new_secret(12)}"),
        jkt=request.jkt,
        now=call.now_ms // 1000,
        login=None,
    )
    return {
        "access_token": issuing.access_token(grounds, key),
        "token_type": issuing.token_type(request.jkt),
        "expires_in": grounds.lifetime,
        "scope": " ".join(scope),
    }


def _tell(
    request: TokenRequest,
    server: ResourceServerConfiguration,
    scope: tuple[str, ...],
    organization: OrganizationClaims | None,
) -> None:
    event = request.event(
        SUCCEEDED,
        audience=server.identifier,
        scope=" ".join(scope),
        organization_id=organization.id if organization else None,
    )
    request.call.services.audit.add(request.call.tenant, event)
