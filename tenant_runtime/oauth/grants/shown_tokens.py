"""The tokens that a token exchange is shown (RFC 8693 section 2.1): whose they are, and who may show them.

Access tokens of this issuer and nothing else: an opaque one is known to `/userinfo` alone, and an ID token tells a
client who signed in, which is no power to pass on. Whatever is wrong with a token is `invalid_grant`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.crypto import jwt
from core.errors import InvalidGrant, InvalidRequest
from tenant_runtime.configuration import ResourceServerConfiguration
from tenant_runtime.oauth.grants.request import TokenRequest
from tenant_runtime.oauth.tokens.access_tokens import Presented, looks_like_jwt, read_jwt
from tenant_runtime.oauth.tokens.acting import is_impersonation
from tenant_runtime.standing import MACHINE

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
TYPES = (ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt")
"""RFC 8693 section 3. Every access token that is exchanged is a JWT, so both names mean the same here."""

DEEPEST = 4
"""How many act one for another at most."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts for the person, the latest first."""

    subjects: tuple[str, ...]

    def claim(self) -> dict[str, Any]:
        """Section 4.1: each actor carries the one before it."""
        claim: dict[str, Any] = {}
        for subject in reversed(self.subjects):
            claim = {"sub": subject, "act": claim} if claim else {"sub": subject}
        return claim


def shown_subject(request: TokenRequest) -> Presented:
    """A person's token that this client was given, or that was used at the API which this client is."""
    presented = _read(request, "subject_token")
    if is_impersonation(presented):
        raise InvalidGrant(
            "The subject_token is used by somebody in its user's name: it is exchanged for nothing."
        )
    if _is_machine(presented):
        raise InvalidGrant("The subject_token is a client's own: there is nobody to act for.")
    if presented.client_id == request.client.client_id:
        if presented.jkt not in (None, request.jkt):
            raise InvalidGrant("The subject_token is bound to another key.")
        return presented
    api = request.client.configuration.resource_server_identifier
    if api is None or api not in presented.audiences or api not in request.configuration.audiences:
        raise InvalidGrant("The subject_token is neither this client's nor for it.")
    if presented.client_id not in request.configuration.clients:
        raise InvalidGrant("The client of the subject_token does not exist any more.")
    return presented


def shown_actor(request: TokenRequest) -> Presented | None:
    """Who acts is the client that asks; its own token may say so too, and no other may."""
    if "actor_token" not in request.parameters:
        if "actor_token_type" in request.parameters:
            raise InvalidRequest("There is an actor_token_type, and no actor_token.")
        return None
    presented = _read(request, "actor_token")
    if not _is_machine(presented) or presented.client_id != request.client.client_id:
        raise InvalidGrant("The actor_token is not this client's own.")
    if presented.jkt not in (None, request.jkt):
        raise InvalidGrant("The actor_token is bound to another key.")
    return presented


def audience_of(request: TokenRequest, presented: Presented) -> ResourceServerConfiguration:
    """The one API that the token is for; `/userinfo` beside it is none."""
    known = request.configuration.audiences
    servers = [known[audience] for audience in presented.audiences if audience in known]
    if len(servers) != 1:
        raise InvalidGrant("The API of the subject_token does not exist any more.")
    return servers[0]


def act_of(presented: Presented, client_id: str, *, is_delegation: bool) -> Acting | None:
    """Who acted stays named, also where nobody else joins them."""
    subjects = _actors(presented.claims.get("act"))
    me = f"{client_id}{MACHINE}"
    if is_delegation and subjects[:1] != (me,):
        subjects = (me, *subjects)
    if len(subjects) > DEEPEST:
        raise InvalidGrant("Too many act one for another.")
    return Acting(subjects) if subjects else None


def _actors(act: Any) -> tuple[str, ...]:
    """A list, so that nothing is read deeper than this server writes it."""
    subjects: list[str] = []
    while act is not None:
        if not isinstance(act, Mapping) or not isinstance(act.get("sub"), str) or len(subjects) > DEEPEST:
            raise InvalidGrant("The act claim of the subject_token is malformed.")
        subjects.append(act["sub"])
        act = act.get("act")
    return tuple(subjects)


def _read(request: TokenRequest, name: str) -> Presented:
    token, kind = request.required(name), request.required(f"{name}_type")
    if kind not in TYPES:
        raise InvalidRequest(f"The {name}_type is not supported.")
    if not looks_like_jwt(token):
        raise InvalidGrant(f"The {name} is not an access token for an API.")
    call = request.call
    try:
        presented = read_jwt(token, call.tenant, request.configuration, call.now_ms / 1000)
    except jwt.TokenInvalid as reason:
        raise InvalidGrant(f"The {name} is invalid, expired or another issuer's.") from reason
    if presented.issuer != call.tenant.issuer:
        raise InvalidGrant(f"The {name} is invalid, expired or another issuer's.")
    return presented


def _is_machine(presented: Presented) -> bool:
    return presented.claims.get("gty") == "client-credentials" or presented.user_id.endswith(MACHINE)
