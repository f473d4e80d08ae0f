"""`POST /oauth/device/code` (RFC 8628 section 3.1): a device without a browser asks for somebody's approval.

Answered with two codes: a long one, with which the device asks at the token endpoint, and a short one, which a person
enters at `/activate`. Neither is stored.
"""

from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, bindparam, func, select

from core.database.sql import insert
from core.errors import InvalidRequest, OAuthError, RateLimited, Unavailable
from core.http.networks import network_of
from core.ids import digest, new_id, new_secret
from tenant_runtime.configuration import configuration
from tenant_runtime.login.devices.requests import ASKED, GRANT_TYPE, accept_device
from tenant_runtime.login.sweeping import SWEEP_WHEN, sweep
from tenant_runtime.models import DeviceCode
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest
from tenant_runtime.oauth.clients.authentication import authenticate, require_still
from tenant_runtime.oauth.clients.documents import with_document
from tenant_runtime.oauth.device.user_codes import digest_of, new_user_code, shown
from tenant_runtime.oauth.dpop.proofs import proof_of, tell_next_nonce, with_next_nonce
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve
from tenant_runtime.registration.rates import Rate

METHODS = ("POST",)
PATH = "/oauth/device/code"
LIFETIME = 900
"""Seconds. Long enough to find a browser, short enough for a code of 34 bits (RFC 8628 section 5.1)."""

INTERVAL = 5
MOST_WAITING = 1000
"""Of one tenant at a time: how many codes wait is how likely a guess is. One client has at most half of them, and so
have all that came on their own (RFC 7591), who may be one and the same."""

BY_CALLER = Rate(60, 300)
"""Of those who prove nothing, in one process: no one of them takes all the codes of a client."""

FAILED = "fdeaz"

_c = DeviceCode.__table__.c
_WAITING = select(func.count(), func.count().filter(_c.client_id == bindparam("client"))).where(
    _c.expires_at > bindparam("now"), _c.is_approved.is_(None)
)
_INSERT = insert(DeviceCode.__table__).on_conflict_do_nothing()


@asgi(PATH, copy_scope=False)
async def device_code(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _device_code)


async def _device_code(call: Call) -> Answer:
    parameters = await call.parameters()
    current = await configuration(call.tenant)
    current = await with_document(call.tenant, call.services, current, parameters.get("client_id"))
    client = await authenticate(call, parameters, current)
    request = TokenRequest(call, current, client, parameters, proof_of(call, PATH))
    try:
        if client.named not in (None, client.client_id):
            raise InvalidRequest("client_id names another client.")
        return with_next_nonce(json_answer(await _begin(request)), request.proof)
    except OAuthError as error:
        call.services.audit.add(call.tenant, request.event(FAILED, description=error.description))
        tell_next_nonce(error, request.proof)
        raise


async def _begin(request: TokenRequest) -> dict[str, Any]:
    request.require_grant_type(GRANT_TYPE)
    call, sent = request.call, request.parameters
    asked = {name: sent[name] for name in ASKED if name in sent} | {"client_id": request.client.client_id}
    accepted = accept_device(asked, request.configuration, call.tenant.issuer)
    code, user_code = new_secret(), new_user_code()
    _count(request)
    row = _row(request, accepted, digest(code), digest_of(call.tenant.data_key, user_code), new_id("fam"))
    await call.tenant.database.write(_store, request, row)
    page = f"{call.tenant.issuer}activate"
    return {
        "device_code": code,
        "user_code": shown(user_code),
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={shown(user_code)}",
        "expires_in": LIFETIME,
        "interval": INTERVAL,
    }


def _count(request: TokenRequest) -> None:
    call, client = request.call, request.client.configuration
    if client.is_public or client.origin != "operator":
        who = (call.tenant.id, call.tenant.incarnation, "device codes", network_of(call.ip))
        call.services.rates.count(BY_CALLER, who, call.now_ms)


def _row(
    request: TokenRequest, accepted: AcceptedRequest, code: str, user_code: str, family_id: str
) -> dict[str, Any]:
    return {
        "digest": code,
        "user_code_digest": user_code,
        "family_id": family_id,
        "issuer": request.call.tenant.issuer,
        "client_id": request.client.client_id,
        "scope": " ".join(accepted.scope),
        "audience": accepted.audience,
        "organization": accepted.parameters.organization,
        "dpop_jkt": request.jkt,
        "interval_ms": INTERVAL * 1000,
        "amr": [],
        "created_at": request.call.now_ms,
        "expires_at": request.call.now_ms + LIFETIME * 1000,
    }


def _store(connection: Connection, request: TokenRequest, row: dict[str, Any]) -> None:
    now_ms = request.call.now_ms
    request.claim_single_use(connection)
    require_still(connection, request.client, now_ms)
    waiting, own = connection.execute(_WAITING, {"now": now_ms, "client": row["client_id"]}).one()
    is_operators = request.client.configuration.origin == "operator"
    if waiting >= (MOST_WAITING if is_operators else MOST_WAITING // 2) or own >= MOST_WAITING // 2:
        raise RateLimited("Too many devices are waiting. Try again later.", retry_after=60)
    if connection.execute(_INSERT, row).rowcount != 1:
        raise Unavailable()  # another device shows the same user code
    if row["digest"].startswith(SWEEP_WHEN):
        sweep(connection, now_ms)
