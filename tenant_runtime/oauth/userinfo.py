"""`/userinfo` (OpenID Connect Core 1.0 section 5.3): claims about the person whose access token is shown.

GET and POST with the token in the header, POST with it in a form body (RFC 6750 sections 2.1 and 2.2), never in the
address. A token that is bound to a key comes in the header with the scheme DPoP and a proof (RFC 9449 section 7);
then the request is a write, because a proof counts once. A JWT must have this endpoint among its audiences. Whoever
was blocked, removed from the organization, logged out or revoked since the token was issued is refused here at once.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection

from core.crypto import jwt
from core.errors import InsufficientScope, InvalidRequest, InvalidToken
from core.http.security import ShownToken, shown_token
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.oauth.body import FORM, media_type, parse_form, read_body
from tenant_runtime.oauth.clients.authentication import refuse_credentials_in_address
from tenant_runtime.oauth.dpop.proofs import Proof
from tenant_runtime.oauth.keys.signing import signing_key
from tenant_runtime.oauth.tokens.access_tokens import Presented
from tenant_runtime.oauth.tokens.claims import userinfo_claims
from tenant_runtime.oauth.tokens.issuing import organization_claims
from tenant_runtime.oauth.tokens.persons import answered, person_behind
from tenant_runtime.oauth.tokens.subject import Subject
from tenant_runtime.oauth.wire import Answer, Call, json_answer, jwt_answer, serve
from tenant_runtime.organizations.claims import Told, read_told

PATH = "/userinfo"
METHODS = ("GET", "POST")
REALM = 'Bearer realm="userinfo"'
_REGISTERED = "userinfo_signed_response_alg"


@asgi(PATH, copy_scope=False)
async def userinfo(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _userinfo)


async def _userinfo(call: Call) -> Answer:
    refuse_credentials_in_address(call)
    shown = await _shown(call)
    return await answered(call, PATH, shown, "userinfo", partial(_answer, call, shown.token))


async def _answer(call: Call, token: str, proof: Proof | None) -> Answer:
    current = await configuration(call.tenant)

    def told(connection: Connection, presented: Presented, subject: Subject) -> Told:
        return read_told(
            connection, current, subject, presented.scope, presented.requested_claims, call.now_ms
        )

    presented, subject, more = await person_behind(call, current, token, proof, told)
    if "openid" not in presented.scope:
        raise InsufficientScope("openid")
    claims = _claims(presented, subject, current, more)
    algorithm = current.clients[presented.client_id].registration.get(_REGISTERED)
    if algorithm is None:
        return json_answer(claims)
    return await _signed(call, current, {"aud": presented.client_id, **claims}, algorithm)


async def _signed(call: Call, current: Configuration, claims: Mapping[str, Any], algorithm: str) -> Answer:
    """As a JWT, for a client that registered so (OpenID Connect Core 1.0 section 5.3.2). Its type is one of its own,
    so that it passes for no other token of this issuer (RFC 8725 section 3.11)."""
    key = await signing_key(call.tenant, call.services, current, algorithm, call.now_ms)
    return jwt_answer(jwt.sign({"iss": call.tenant.issuer, **claims}, key, typ="userinfo+jwt"))


async def _shown(call: Call) -> ShownToken:
    in_header = b"authorization" in call.headers
    in_body = await _body_token(call) if call.method == "POST" else None
    if in_header and in_body is not None:
        raise InvalidRequest("The access token is sent in two ways at once.")
    if in_body is not None:
        return ShownToken(in_body, is_dpop=False)
    if not in_header:
        missing = InvalidToken("An access token is required.")
        missing.headers["WWW-Authenticate"] = (
            REALM  # RFC 6750 section 3.1: no error code where nothing was tried
        )
        raise missing
    shown = shown_token([(b"authorization", value) for value in call.headers[b"authorization"]])
    if shown is None:
        raise InvalidToken
    return shown


async def _body_token(call: Call) -> str | None:
    """Only a form may carry it (RFC 6750 section 2.2); any other body is left alone."""
    kind = call.one_header(b"content-type")
    if kind is None or not kind.lower().startswith(FORM):
        return None
    media_type(kind)
    body = await read_body(call.receive, call.one_header(b"content-length"))
    return parse_form(body).get("access_token")


def _claims(presented: Presented, subject: Subject, current: Configuration, more: Told) -> Mapping[str, Any]:
    return {
        **userinfo_claims(subject.user, presented.scope, presented.requested_claims),
        **organization_claims(current, subject.organization, more, "userinfo"),
        **({"act": presented.claims["act"]} if "act" in presented.claims else {}),
        "sub": presented.user_id,
    }
