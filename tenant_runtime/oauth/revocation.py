"""`POST /oauth/revoke` (RFC 7009): a client gives back a token. Takes JSON too, as Auth0's SDKs send it.

A refresh token goes with its whole family, access tokens included. An access token goes alone. A token that is
another client's, another tenant's, unknown or already dead is answered like a good one, and nothing happens.
"""

from dataclasses import dataclass

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, bindparam, select, update

from core.crypto import jwt
from core.errors import InvalidRequest
from core.ids import digest
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import configuration
from tenant_runtime.models import AccessToken, RefreshFamily, RefreshToken
from tenant_runtime.oauth.clients.authentication import authenticate, require_still
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.tokens.access_tokens import looks_like_jwt, read_jwt
from tenant_runtime.oauth.tokens.families import end_family, refuse_tokens
from tenant_runtime.oauth.wire import Answer, Call, empty_answer, serve

METHODS = ("POST",)
REVOKED = "srrt"

_t, _f, _a = RefreshToken.__table__.c, RefreshFamily.__table__.c, AccessToken.__table__.c
_FAMILY = (
    select(_f.id)
    .join(RefreshToken.__table__, _t.family_id == _f.id)
    .where(_t.digest == bindparam("token"), _f.client_id == bindparam("client"), _f.revoked_at.is_(None))
)
_END_OPAQUE = (
    update(AccessToken.__table__)
    .where(_a.digest == bindparam("token"), _a.client_id == bindparam("client"), _a.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
    .returning(_a.digest)
)


@dataclass(frozen=True, slots=True)
class _Revocation:
    request: TokenRequest
    token_digest: str
    jti: str | None
    now_ms: int
    event: Event


@asgi("/oauth/revoke", copy_scope=False)
async def revoke(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _revoke)


async def _revoke(call: Call) -> Answer:
    parameters = await call.parameters()
    current = await configuration(call.tenant)
    request = TokenRequest(call, current, await authenticate(call, parameters, current), parameters)
    if request.client.named not in (None, request.client.client_id):
        raise InvalidRequest("client_id names another client.")
    token = request.required("token")
    revocation = _Revocation(
        request, digest(token), _own_jti(request, token), call.now_ms, request.event(REVOKED)
    )
    await call.tenant.database.write(_end, revocation)
    return empty_answer()


def _own_jti(request: TokenRequest, token: str) -> str | None:
    """Of a JWT that is this client's and still good; `token_type_hint` is not needed to tell the kinds apart."""
    if not looks_like_jwt(token):
        return None
    call = request.call
    try:
        presented = read_jwt(token, call.tenant, request.configuration, call.now_ms / 1000)
    except jwt.TokenInvalid:
        return None
    return presented.jti if presented.client_id == request.client.client_id else None


def _end(connection: Connection, revocation: _Revocation) -> None:
    revocation.request.claim_single_use(connection)
    require_still(connection, revocation.request.client, revocation.now_ms)
    if _end_token(connection, revocation):
        record(connection, revocation.event)


def _end_token(connection: Connection, revocation: _Revocation) -> bool:
    now_ms = revocation.now_ms
    if revocation.jti is not None:
        refuse_tokens(connection, revocation.jti, now_ms=now_ms, reason="revocation")
        return True
    key = {"token": revocation.token_digest, "client": revocation.request.client.client_id}
    family_id = connection.execute(_FAMILY, key).scalar_one_or_none()
    if family_id is not None:
        end_family(connection, family_id, now_ms=now_ms, reason="revocation")
        return True
    return connection.execute(_END_OPAQUE, {**key, "now": now_ms}).first() is not None
