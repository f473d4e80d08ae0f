"""`/userinfo` (OpenID Connect Core 1.0 section 5.3): claims about the person whose access token is shown.

GET and POST with the token in the header, POST with it in a form body (RFC 6750 sections 2.1 and 2.2), never in the
address. A token that is bound to a key comes in the header with the scheme DPoP and a proof (RFC 9449 section 7);
then the request is a write, because a proof counts once. A JWT must have this endpoint among its audiences. Whoever
was blocked, removed from the organization, logged out or revoked since the token was issued is refused here at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection

from core.crypto import jwt
from core.errors import InsufficientScope, InvalidDpopProof, InvalidRequest, InvalidToken, UseDpopNonce
from core.http.security import ShownToken, shown_token
from core.ids import digest
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.oauth.body import FORM, media_type, parse_form, read_body
from tenant_runtime.oauth.clients.authentication import refuse_credentials_in_address
from tenant_runtime.oauth.dpop.proofs import (
    Proof,
    challenged,
    proof_of,
    require_holder,
    require_proof,
    tell_next_nonce,
    with_next_nonce,
)
from tenant_runtime.oauth.keys.signing import signing_key
from tenant_runtime.oauth.single_use import claim
from tenant_runtime.oauth.tokens.access_tokens import Presented, find_opaque, looks_like_jwt, read_jwt
from tenant_runtime.oauth.tokens.acting import actor_stands
from tenant_runtime.oauth.tokens.claims import userinfo_claims
from tenant_runtime.oauth.tokens.issuing import organization_claims
from tenant_runtime.oauth.tokens.subject import Subject, load_subject
from tenant_runtime.oauth.wire import Answer, Call, json_answer, jwt_answer, serve

PATH = "/userinfo"
METHODS = ("GET", "POST")
REALM = 'Bearer realm="userinfo"'
_REGISTERED = "userinfo_signed_response_alg"


@dataclass(frozen=True, slots=True)
class _Found:
    presented: Presented
    subject: Subject


@asgi(PATH, copy_scope=False)
async def userinfo(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _userinfo)


async def _userinfo(call: Call) -> Answer:
    refuse_credentials_in_address(call)
    shown = await _shown(call)
    if not shown.is_dpop:
        return await _answer(call, shown.token, None)
    proof = None
    try:
        proof = require_proof(proof_of(call, PATH, shown.token))
        return with_next_nonce(await _answer(call, shown.token, proof), proof)
    except (InvalidToken, InsufficientScope, InvalidDpopProof, UseDpopNonce) as error:
        tell_next_nonce(error, proof)
        raise challenged(error, realm="userinfo") from error


async def _answer(call: Call, token: str, proof: Proof | None) -> Answer:
    current = await configuration(call.tenant)
    found = await _find(call, current, token, proof)
    if "openid" not in found.presented.scope:
        raise InsufficientScope("openid")
    algorithm = current.clients[found.presented.client_id].registration.get(_REGISTERED)
    if algorithm is None:
        return json_answer(_claims(found, current))
    return await _signed(call, current, found, algorithm)


async def _signed(call: Call, current: Configuration, found: _Found, algorithm: str) -> Answer:
    """As a JWT, for a client that registered so (OpenID Connect Core 1.0 section 5.3.2). Its type is one of its own,
    so that it passes for no other token of this issuer (RFC 8725 section 3.11)."""
    key = await signing_key(call.tenant, call.services, current, algorithm, call.now_ms)
    claims = {"iss": call.tenant.issuer, "aud": found.presented.client_id, **_claims(found, current)}
    return jwt_answer(jwt.sign(claims, key, typ="userinfo+jwt"))


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


async def _find(call: Call, current: Configuration, token: str, proof: Proof | None) -> _Found:
    database = call.tenant.database
    run = database.read if proof is None else database.write
    if looks_like_jwt(token):
        presented = _verified(call, current, token)
        if not await actor_stands(call.tenant, call.services, presented):
            raise InvalidToken
        require_holder(presented.jkt, proof)
        found = await run(_of_jwt, presented, proof)
    else:
        found = await run(_of_opaque, digest(token), proof, call.now_ms)
    if found is None or found.presented.issuer not in call.tenant.issuers:
        raise InvalidToken
    subject = found.subject
    if subject.session_is_dead or subject.refusal(found.presented.issued_at) is not None:
        raise InvalidToken
    if found.presented.client_id not in current.clients:
        raise InvalidToken
    return found


def _verified(call: Call, current: Configuration, token: str) -> Presented:
    try:
        presented = read_jwt(token, call.tenant, current, call.now_ms / 1000)
    except jwt.TokenInvalid as reason:
        raise InvalidToken from reason
    if f"{presented.issuer}userinfo" not in presented.audiences:
        raise InvalidToken
    return presented


def _of_opaque(connection: Connection, token_digest: str, proof: Proof | None, now_ms: int) -> _Found | None:
    presented = find_opaque(connection, token_digest, now_ms)
    if presented is None:
        return None
    require_holder(presented.jkt, proof)
    return _of_jwt(connection, presented, proof)


def _of_jwt(connection: Connection, presented: Presented, proof: Proof | None) -> _Found | None:
    if proof is not None:
        claim(connection, (proof.used,))
    subject = load_subject(
        connection,
        user_id=presented.user_id,
        session_id=presented.session_id,
        organization_id=presented.organization_id,
        family_id=presented.family_id,
        jti=presented.jti,
        consent=presented.consent,
        issued_at=presented.issued_at,
    )
    return None if subject is None else _Found(presented, subject)


def _claims(found: _Found, current: Configuration) -> Mapping[str, Any]:
    presented, subject = found.presented, found.subject
    named = current.settings.allow_organization_name_in_authentication_api
    return {
        **userinfo_claims(subject.user, presented.scope, presented.requested_claims),
        **organization_claims(subject.organization, named=named),
        **({"act": presented.claims["act"]} if "act" in presented.claims else {}),
        "sub": presented.user_id,
    }
