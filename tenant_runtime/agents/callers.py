"""Who calls: a person's access token for exactly this API of exactly this tenant, shown by the client it was issued to.

The person is looked at in each request, as at `/userinfo`: whoever was blocked, removed, signed out or revoked is
refused at once. A token that somebody uses in another's name acts for nobody here, nor does a client in its own name.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from core.crypto import jwt
from core.errors import InsufficientScope, InvalidDpopProof, InvalidToken, UseDpopNonce
from core.http.security import shown_token
from tenant_runtime.agents.resource import PATH, SCOPES
from tenant_runtime.configuration import Configuration
from tenant_runtime.oauth.dpop.proofs import (
    Proof,
    challenged,
    proof_of,
    require_holder,
    require_proof,
    tell_next_nonce,
)
from tenant_runtime.oauth.single_use import claim
from tenant_runtime.oauth.tokens.access_tokens import Presented, looks_like_jwt, read_jwt
from tenant_runtime.oauth.tokens.subject import Subject, load_subject
from tenant_runtime.oauth.wire import Call

REALM = "mcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A client, and the person for whom it acts. `organization_id`: the one that its token is for, and then acts in
    alone."""

    client_id: str
    client_name: str
    user_id: str
    email: str | None
    email_verified: bool
    name: str | None
    scope: frozenset[str]
    organization_id: str | None
    session_id: str | None
    family_id: str
    presented: Presented = field(repr=False)
    proof: Proof | None = field(default=None, repr=False)

    def require(self, scope: str) -> None:
        if scope not in self.scope:
            raise InsufficientScope(scope)


async def agent_of(call: Call, current: Configuration) -> Agent:
    given = [(b"authorization", value) for value in call.headers.get(b"authorization", ())]
    if not given:
        raise _nothing_shown()
    shown = shown_token(given)
    if shown is None:
        raise InvalidToken
    if not shown.is_dpop:
        return await _agent(call, current, shown.token, None)
    proof = None
    try:
        proof = require_proof(proof_of(call, PATH, shown.token))
        return await _agent(call, current, shown.token, proof)
    except (InvalidToken, InvalidDpopProof, UseDpopNonce) as error:
        tell_next_nonce(error, proof)
        raise challenged(error, realm=REALM) from error


def _nothing_shown() -> InvalidToken:
    """RFC 6750 section 3.1: no error code where nothing was tried. The scope is what a client asks for first."""
    missing = InvalidToken("An access token is required.")
    missing.headers["WWW-Authenticate"] = f'Bearer realm="{REALM}", scope="{" ".join(SCOPES)}"'
    return missing


async def _agent(call: Call, current: Configuration, token: str, proof: Proof | None) -> Agent:
    presented = _verified(call, current, token)
    require_holder(presented.jkt, proof)
    client = current.clients.get(presented.client_id)
    run = call.tenant.database.read if proof is None else call.tenant.database.write
    subject = await run(_person, presented, proof)
    if client is None or subject is None:
        raise InvalidToken
    user = subject.user
    return Agent(
        client_id=client.client_id,
        client_name=client.name,
        user_id=presented.user_id,
        email=user.email,
        email_verified=bool(user.email_verified),
        name=user.name,
        scope=frozenset(presented.scope),
        organization_id=presented.organization_id,
        session_id=presented.session_id,
        family_id=presented.family_id,
        presented=presented,
        proof=proof,
    )


def _verified(call: Call, current: Configuration, token: str) -> Presented:
    """For this API, and beside it at most for `/userinfo`: a token for many is a token for others."""
    if current.agents is None or not looks_like_jwt(token):
        raise InvalidToken
    try:
        presented = read_jwt(token, call.tenant, current, call.now_ms / 1000)
    except jwt.TokenInvalid as reason:
        raise InvalidToken from reason
    ours, named = current.agents.identifier, frozenset(presented.audiences)
    if ours not in named or not named <= {ours, f"{presented.issuer}userinfo"}:
        raise InvalidToken
    if "act" in presented.claims:  # RFC 8693 section 4.1: power over others is used by who was given it
        raise InvalidToken
    return presented


def _person(connection: Connection, presented: Presented, proof: Proof | None) -> Subject | None:
    if proof is not None:
        claim(connection, (proof.used,))
    return standing(connection, presented)


def standing(connection: Connection, presented: Presented) -> Subject | None:
    """The person behind a token; None where it is good no more."""
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
    )
    if subject is None or subject.session_is_dead or subject.refusal(presented.issued_at) is not None:
        return None
    return subject
