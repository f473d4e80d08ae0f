"""The person behind an access token that is shown at one of the tenant's own resources: `/userinfo`, licenses.

The token must be good at `/userinfo`: opaque, or a JWT that names it among its audiences. Whoever was blocked, removed
from the organization, logged out or revoked since the token was issued is refused at once. A token that is bound to a
key comes with the scheme DPoP and a proof (RFC 9449 section 7); then the request is a write, because a proof counts
once.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import Connection

from core.crypto import jwt
from core.errors import InsufficientScope, InvalidDpopProof, InvalidToken, UseDpopNonce
from core.http.security import ShownToken
from core.ids import digest
from tenant_runtime.configuration import Configuration
from tenant_runtime.oauth.dpop.proofs import (
    Proof,
    challenged,
    proof_of,
    require_holder,
    require_proof,
    tell_next_nonce,
    with_next_nonce,
)
from tenant_runtime.oauth.single_use import claim
from tenant_runtime.oauth.tokens.access_tokens import Presented, find_opaque, looks_like_jwt, read_jwt
from tenant_runtime.oauth.tokens.acting import actor_stands, is_impersonation
from tenant_runtime.oauth.tokens.subject import Subject, load_subject
from tenant_runtime.oauth.wire import Answer, Call

T = TypeVar("T")
Read = Callable[[Connection, Presented, Subject], T]
"""What is to be known of the person, read in the unit that looks at them."""


async def answered(
    call: Call, path: str, shown: ShownToken, realm: str, answer: Callable[[Proof | None], Awaitable[Answer]]
) -> Answer:
    """The answer at `path`, with what a proof asks for: its check before, the next nonce after, challenges of DPoP."""
    if not shown.is_dpop:
        return await answer(None)
    proof = None
    try:
        proof = require_proof(proof_of(call, path, shown.token))
        return with_next_nonce(await answer(proof), proof)
    except (InvalidToken, InsufficientScope, InvalidDpopProof, UseDpopNonce) as error:
        tell_next_nonce(error, proof)
        raise challenged(error, realm=realm) from error


async def person_behind(
    call: Call, current: Configuration, token: str, proof: Proof | None, read: Read[T]
) -> tuple[Presented, Subject, T]:
    database = call.tenant.database
    run = database.read if proof is None else database.write
    if looks_like_jwt(token):
        presented = _verified(call, current, token)
        if not await actor_stands(call.tenant, call.services, presented):
            raise InvalidToken
        require_holder(presented.jkt, proof)
        return await run(_stands, call, current, presented, proof, read)
    return await run(_of_opaque, call, current, digest(token), proof, read)


def _verified(call: Call, current: Configuration, token: str) -> Presented:
    try:
        presented = read_jwt(token, call.tenant, current, call.now_ms / 1000)
    except jwt.TokenInvalid as reason:
        raise InvalidToken from reason
    if f"{presented.issuer}userinfo" not in presented.audiences:
        raise InvalidToken
    return presented


def _of_opaque(
    connection: Connection,
    call: Call,
    current: Configuration,
    token_digest: str,
    proof: Proof | None,
    read: Read[T],
) -> tuple[Presented, Subject, T]:
    presented = find_opaque(connection, token_digest, call.now_ms)
    if presented is None:
        raise InvalidToken
    require_holder(presented.jkt, proof)
    return _stands(connection, call, current, presented, proof, read)


def _stands(
    connection: Connection,
    call: Call,
    current: Configuration,
    presented: Presented,
    proof: Proof | None,
    read: Read[T],
) -> tuple[Presented, Subject, T]:
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
        membership=presented.membership,
        issued_at=presented.issued_at,
        rules=current.organization_rules,
    )
    is_ours = presented.issuer in call.tenant.issuers and presented.client_id in current.clients
    if subject is None or not is_ours or subject.session_is_dead:
        raise InvalidToken
    if subject.refusal(presented.issued_at) is not None:
        raise InvalidToken
    is_own = not is_impersonation(presented)
    if is_own and subject.unmet(connection, presented.login(), call.now_ms) is not None:
        raise InvalidToken
    return presented, subject, read(connection, presented, subject)
