"""`POST /oauth/token` (RFC 6749 section 3.2): a form or, as Auth0's SDKs send it, JSON; one grant each."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send

from core.errors import (
    InvalidDpopProof,
    InvalidGrant,
    InvalidRequest,
    OAuthError,
    UnsupportedGrantType,
    UseDpopNonce,
)
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.clients.authentication import authenticate
from tenant_runtime.oauth.dpop.proofs import Proof, proof_of, tell_next_nonce, with_next_nonce
from tenant_runtime.oauth.grants import (
    authorization_code,
    client_credentials,
    device_code,
    passwordless_otp,
    refresh_token,
    token_exchange,
)
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve

PATH = "/oauth/token"
METHODS = ("POST",)
LONGEST_TOLD = 500


@dataclass(frozen=True, slots=True)
class Grant:
    exchange: Callable[[TokenRequest], Awaitable[dict[str, Any]]]
    failed: str
    """The log event of a failure, by Auth0's codes."""

    is_bound: bool
    """Whether what is presented belongs to one client: then naming another one in the body is `invalid_grant`."""


GRANTS: Mapping[str, Grant] = {
    authorization_code.GRANT_TYPE: Grant(authorization_code.redeem_code, "feacft", True),
    refresh_token.GRANT_TYPE: Grant(refresh_token.refresh, "fertft", True),
    client_credentials.GRANT_TYPE: Grant(client_credentials.client_credentials, "feccft", False),
    device_code.GRANT_TYPE: Grant(device_code.redeem_device_code, device_code.FAILED, True),
    token_exchange.GRANT_TYPE: Grant(token_exchange.exchange, token_exchange.FAILED, True),
    passwordless_otp.GRANT_TYPE: Grant(passwordless_otp.redeem_otp, passwordless_otp.FAILED, True),
}


@asgi(PATH, copy_scope=False)
async def token(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _token)


async def _token(call: Call) -> Answer:
    parameters = await call.parameters()
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("grant_type is missing.")
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise UnsupportedGrantType
    current = await configuration(call.tenant)
    client = await authenticate(call, parameters, current)
    request = TokenRequest(call, current, client, parameters)
    proof = None
    try:
        if client.named not in (None, client.client_id):
            raise InvalidGrant if grant.is_bound else InvalidRequest("client_id names another client.")
        proof = _proof(request)
        if proof is not None:
            request = replace(request, proof=proof)
        return with_next_nonce(json_answer(await grant.exchange(request)), proof)
    except (UseDpopNonce, *device_code.STILL_WAITING) as error:
        tell_next_nonce(error, proof)
        raise  # no failure: how every conversation with a proof begins, and how devices wait
    except OAuthError as error:
        _tell_failure(request, grant, error)
        tell_next_nonce(error, proof)
        raise


def _proof(request: TokenRequest) -> Proof | None:
    proof = proof_of(request.call, PATH)
    if proof is None and request.client.configuration.requires_dpop:
        raise InvalidDpopProof("The client must send a DPoP proof.")
    return proof


def _tell_failure(request: TokenRequest, grant: Grant, error: OAuthError) -> None:
    audience = request.parameters.get("audience", "")[:LONGEST_TOLD] or None
    event = request.event(grant.failed, description=error.description, audience=audience)
    request.call.services.audit.add(request.call.tenant, event)
