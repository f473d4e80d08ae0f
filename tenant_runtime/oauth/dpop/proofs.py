"""DPoP (RFC 9449): tokens that only the holder of a key can use.

A proof is good for one request at one address of one tenant, within a minute, once. It always carries a nonce of the
tenant's: whoever sends none is told one, and asks again (section 8). So a proof that was made beforehand, for when
the key is out of reach, is worth nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.crypto.jwt import TokenInvalid
from core.crypto.sealing import DataKey
from core.errors import (
    IdentityError,
    InsufficientScope,
    InvalidDpopProof,
    InvalidToken,
    Unauthenticated,
    UseDpopNonce,
)
from core.http.errors import printable
from core.tenants import Tenant
from tenant_runtime.oauth.dpop.nonces import RENEWED_AFTER, age_of, new_nonce
from tenant_runtime.oauth.dpop.verification import ALGORITHMS, WINDOW, Target, verify_proof
from tenant_runtime.oauth.single_use import SingleUse
from tenant_runtime.oauth.wire import Answer, Call

HEADER = b"dpop"
NONCE_HEADER = b"dpop-nonce"
_ALGS = " ".join(ALGORITHMS)
E = TypeVar("E", bound=IdentityError)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is good: of which key (its RFC 7638 thumbprint), and what of it counts once."""

    jkt: str
    used: SingleUse
    next_nonce: str | None = None
    """To be sent with the answer, because the proof's own gets old."""


def proof_of(call: Call, path: str, access_token: str | None = None) -> Proof | None:
    """The proof of a request at `path`, or None where there is no header. Raises `InvalidDpopProof` or
    `UseDpopNonce`. At a resource the access token is part of what is proved."""
    given = call.headers.get(HEADER)
    if given is None:
        return None
    target = Target(call.method, (call.tenant.origin,), path, access_token)
    return check_proof(call.tenant, given, target, call.now_ms)


def check_proof(tenant: Tenant, given: Sequence[bytes], target: Target, now_ms: int) -> Proof:
    """`given`: the values of the request's `DPoP` headers, of which there must be exactly one."""
    if len(given) != 1:
        raise InvalidDpopProof("Exactly one DPoP proof must be sent.")
    now = now_ms / 1000
    found = verify_proof(given[0].decode("latin-1"), target, now)
    is_good, next_nonce = judge_nonce(tenant.data_key, found.nonce, now)
    if not is_good:
        raise UseDpopNonce(str(next_nonce))
    return Proof(found.jkt, use_of(found.jkt, found.jti, found.issued_at + WINDOW), next_nonce)


def judge_nonce(key: DataKey, nonce: str | None, now: float) -> tuple[bool, str | None]:
    """Whether it is good, and the one to use from now on: instead of it, or because it gets old."""
    age = age_of(key, nonce, now) if nonce is not None else None
    if age is None:
        return False, new_nonce(key, now)
    return True, new_nonce(key, now) if age >= RENEWED_AFTER else None


def use_of(jkt: str, jti: str, until: float) -> SingleUse:
    """`until` in seconds: from then on the proof is too old by itself."""
    return SingleUse.of("dpop", jkt, jti, expires_at=int(until * 1000) + 1, error=InvalidDpopProof)


def with_next_nonce(answer: Answer, proof: Proof | None) -> Answer:
    if proof is None or proof.next_nonce is None:
        return answer
    header = (NONCE_HEADER, proof.next_nonce.encode("ascii"))
    return Answer(answer.body, [*answer.headers, header], answer.status)


def tell_next_nonce(error: IdentityError, proof: Proof | None) -> None:
    """With the refusal of a request whose proof was good: its nonce gets old all the same (section 8.2)."""
    if proof is not None and proof.next_nonce is not None:
        error.headers.setdefault("DPoP-Nonce", proof.next_nonce)


# --- At a resource (section 7) ---------------------------------------------------------------------------------------


def bound_key(claims: Mapping[str, Any]) -> str | None:
    """The key that a JWT is bound to. Raises `TokenInvalid` for a binding that is not understood: it is not undone."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    if not isinstance(confirmation, Mapping) or not isinstance(confirmation.get("jkt"), str):
        raise TokenInvalid("cnf")
    return str(confirmation["jkt"])


def require_proof(proof: Proof | None) -> Proof:
    if proof is None:
        raise InvalidDpopProof("A token with the scheme DPoP needs a DPoP proof.")
    return proof


def require_holder(
    jkt: str | None, proof: Proof | None, error: type[InvalidToken] | type[Unauthenticated] = InvalidToken
) -> None:
    """A token that is bound to the key `jkt` is good with a proof of that key and with no other, nor without one; a
    token that is not, is no token of the scheme DPoP (section 7.2)."""
    if jkt is not None and proof is None:
        raise challenged(error("The access token is bound to a key: it needs the scheme DPoP and a proof."))
    if proof is not None and jkt != proof.jkt:
        raise challenged(error("The access token is not bound to the key of the DPoP proof."))


def challenged(error: E, *, realm: str | None = None) -> E:
    """The refusal of a request that used the scheme DPoP, or of a token that may be used with that scheme only."""
    named = f'realm="{realm}", ' if realm else ""
    described = f'error="{error.code}", error_description="{printable(error.description)}"'
    if isinstance(error, InsufficientScope) and error.expected:
        described += f', scope="{printable(" ".join(error.expected))}"'
    error.headers["WWW-Authenticate"] = f'DPoP {named}{described}, algs="{_ALGS}"'
    if isinstance(error, InvalidDpopProof | UseDpopNonce):
        error.status = 401
    return error
