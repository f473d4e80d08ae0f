"""`POST /oauth/par`: a client hands its authorization request over before the browser comes (RFC 9126).

The request is judged as /authorize would judge it, and what is wrong with it is told at once. What is good is kept for
a minute under a random `request_uri`, for that client at that issuer. It may be opened several times, as browsers do;
the first code issued for it ends it, in the same unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, bindparam, insert, select, update

from core.errors import (
    AccessDenied,
    InvalidDpopProof,
    InvalidRequest,
    InvalidRequestUri,
    OAuthError,
    UseDpopNonce,
)
from core.ids import digest, new_secret
from core.tenants import Tenant
from tenant_runtime.configuration import configuration
from tenant_runtime.expiry import Lapsing, is_current
from tenant_runtime.login.sweeping import SWEEP_WHEN, sweep
from tenant_runtime.models import PushedRequest
from tenant_runtime.oauth.authorization.acceptance import accept, destination
from tenant_runtime.oauth.authorization.parameters import PUSHED, Sent, from_pairs, sent
from tenant_runtime.oauth.authorization.request_objects import read_object
from tenant_runtime.oauth.body import JSON, json_object, media_type, parse_form, read_body, texts_of
from tenant_runtime.oauth.clients.authentication import authenticate, require_still
from tenant_runtime.oauth.clients.documents import with_document
from tenant_runtime.oauth.dpop.proofs import proof_of, tell_next_nonce, with_next_nonce
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve

PATH = "/oauth/par"
METHODS = ("POST",)
PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFETIME_SECONDS = 60
FAILED = "f"

_p = PushedRequest.__table__.c
_INSERT = insert(PushedRequest.__table__)
_LOAD = select(_p.parameters).where(
    _p.digest == bindparam("request"),
    _p.client_id == bindparam("client"),
    _p.issuer == bindparam("issuer"),
    is_current(PushedRequest.__table__),
    _p.used_at.is_(None),
)
_LAPSING = Lapsing(PushedRequest.__table__)
_CLAIM = (
    update(PushedRequest.__table__)
    .where(_p.digest == bindparam("request"), _p.used_at.is_(None))
    .values(used_at=bindparam("now"))
)


# --- Pushing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Push:
    request: TokenRequest
    digest: str
    parameters: Mapping[str, str]
    now_ms: int


@asgi(PATH, copy_scope=False)
async def push(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _push)


async def _push(call: Call) -> Answer:
    parameters, asked = await _read(call)
    current = await configuration(call.tenant)
    current = await with_document(call.tenant, call.services, current, parameters.get("client_id"))
    request = TokenRequest(call, current, await authenticate(call, parameters, current), parameters)
    proof = None
    try:
        proof = proof_of(call, PATH)
        request = replace(request, proof=proof)
        return with_next_nonce(await _keep(request, asked), proof)
    except UseDpopNonce:
        raise
    except OAuthError as error:
        call.services.audit.add(call.tenant, request.event(FAILED, description=error.description))
        tell_next_nonce(error, proof)
        raise


async def _read(call: Call) -> tuple[dict[str, str], Sent]:
    """The body for who authenticates the client, and as an authorization request."""
    kind = media_type(call.one_header(b"content-type"))
    body = await read_body(call.receive, call.one_header(b"content-length"))
    if kind == JSON:
        members = json_object(body)
        texts = ((name, value) for name, value in members.items() if isinstance(value, str))
        return texts_of(members), from_pairs(texts)
    return parse_form(body), sent(body)


async def _keep(request: TokenRequest, asked: Sent) -> Answer:
    call, client = request.call, request.client
    if client.named not in (None, client.client_id):
        raise InvalidRequest("client_id names another client.")
    if asked.get("request_uri") is not None:
        raise InvalidRequest("A pushed request is not a reference to another one.")
    secret = new_secret()
    asked = asked.marked(client_id=client.client_id)
    if asked.is_indirect:
        asked = await read_object(asked, call.tenant, call.services, request.configuration)
    if request.jkt is not None:
        asked = _bound(asked, request.jkt)
    asked = asked.marked(**{PUSHED: digest(secret)})
    _judge(request, asked)
    pushed = _Push(request, digest(secret), asked.values, call.now_ms)
    await call.tenant.database.write(_store, pushed)
    answer = json_answer({"request_uri": f"{PREFIX}{secret}", "expires_in": LIFETIME_SECONDS})
    return replace(answer, status=201)


def _bound(asked: Sent, jkt: str) -> Sent:
    """A proof here says what `dpop_jkt` would (RFC 9449 section 10.1)."""
    if asked.get("dpop_jkt") not in (None, jkt):
        raise InvalidDpopProof("The dpop_jkt is of another key than the proof.")
    return asked.marked(dpop_jkt=jkt)


def _judge(request: TokenRequest, asked: Sent) -> None:
    tenant, current = request.call.tenant, request.configuration
    try:
        accept(asked, destination(asked, current, tenant.issuer), current, tenant.issuers)
    except AccessDenied as error:
        raise AccessDenied(error.description, status=400) from error


def _store(connection: Connection, pushed: _Push) -> None:
    request = pushed.request
    request.claim_single_use(connection)
    require_still(connection, request.client, pushed.now_ms)
    row = {
        "digest": pushed.digest,
        "issuer": request.call.tenant.issuer,
        "client_id": request.client.client_id,
        "parameters": dict(pushed.parameters),
        "created_at": pushed.now_ms,
        "expires_at": pushed.now_ms + LIFETIME_SECONDS * 1000,
        "used_at": None,
    }
    connection.execute(_INSERT, row)
    if pushed.digest.startswith(SWEEP_WHEN):
        sweep(connection, pushed.now_ms)


# --- Using ---------------------------------------------------------------------------------------------------------


def is_pushed(request_uri: str) -> bool:
    return request_uri.startswith(PREFIX)


async def read_pushed(tenant: Tenant, client_id: str, request_uri: str, now: int) -> Sent:
    """Unknown, over, used, another client's and another issuer's are one answer."""
    pushed = digest(request_uri.removeprefix(PREFIX))
    values: dict[str, str | int] = {
        "request": pushed,
        "client": client_id,
        "issuer": tenant.issuer,
        "now": now,
    }
    parameters = await tenant.database.read(_load, values)
    if parameters is None:
        await _LAPSING.refused(tenant, pushed, now)
        raise InvalidRequestUri
    return Sent(parameters)


def _load(connection: Connection, values: Mapping[str, str | int]) -> dict[str, str] | None:
    parameters: dict[str, str] | None = connection.execute(_LOAD, values).scalar_one_or_none()
    return parameters


def claim_pushed(connection: Connection, pushed: str, now: int) -> None:
    """In the unit that issues the code: of two completions at once one is told that the request is over."""
    if connection.execute(_CLAIM, {"request": pushed, "now": now}).rowcount != 1:
        raise InvalidRequestUri
