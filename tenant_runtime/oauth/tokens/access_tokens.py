"""An access token as it comes back to the server that issued it: opaque by its row, JWT by its signature."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, select

from core.clock import LEEWAY_MS
from core.crypto import jwt
from core.crypto.keys import PublicKeys
from core.database import Prepared
from core.given import consent_of, membership_of
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration
from tenant_runtime.models import AccessToken
from tenant_runtime.oauth.dpop.proofs import bound_key
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.oauth.policy import split_scope
from tenant_runtime.oauth.tokens.families import family_of
from tenant_runtime.oauth.tokens.issuing import ACCESS_TOKEN_TYPE
from tenant_runtime.organizations.policies import LoggedIn

_a = AccessToken.__table__.c
_OPAQUE = Prepared(select(*_a).where(_a.digest == bindparam("token")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A token of this tenant that is good by itself; whether its person still is, `subject` says."""

    client_id: str
    user_id: str
    scope: tuple[str, ...]
    session_id: str | None
    organization_id: str | None
    family_id: str
    jti: str
    issued_at: int
    """Milliseconds; of a JWT, whose `iat` is whole seconds, the last of its second."""

    audiences: tuple[str, ...]
    issuer: str
    jkt: str | None = None
    """Of the key that it is bound to: good with a proof of that key only."""

    requested_claims: Mapping[str, Any] | None = None
    expires_at: int = 0
    """Milliseconds, of an opaque token; a JWT says so itself."""

    claims: Mapping[str, Any] = field(default_factory=dict)
    """Of a JWT."""

    consent: str = ""
    """That a JWT rests on, by name; an opaque token is found by its row."""

    membership: str = ""
    """Likewise."""

    def login(self) -> LoggedIn:
        """The one behind it, as far as it says so itself."""
        auth_time, amr = self.claims.get("auth_time"), self.claims.get("amr")
        return LoggedIn(
            session_id=self.session_id,
            family_id=self.family_id,
            authenticated_at=auth_time * 1000 if isinstance(auth_time, int) else None,
            amr=tuple(amr) if isinstance(amr, list) else None,
        )


def looks_like_jwt(token: str) -> bool:
    return token.count(".") >= 2


def read_jwt(token: str, tenant: Tenant, configuration: Configuration, now: float) -> Presented:
    """Raises `jwt.TokenInvalid`. Of this tenant only; any of its issuers, each with its own audience."""
    claims, presented = _signed(token, configuration.keys.public)
    jwt.check_times(claims, now)
    if presented.issuer not in tenant.issuers:
        raise jwt.TokenInvalid("issuer")
    return presented


@lru_cache(1024)
def _signed(token: str, keys: PublicKeys) -> tuple[Mapping[str, Any], Presented]:
    """What follows from the token and the keys alone is found out once; changed keys are another object."""
    claims = jwt.verify(token, keys, algorithms=ALGORITHMS, typ=(ACCESS_TOKEN_TYPE,))
    texts = [claims.get(name) for name in ("iss", "sub", "client_id", "jti", "scope")]
    if not all(isinstance(text, str) for text in texts) or not claims["sub"]:
        raise jwt.TokenInvalid("a claim is missing or no text")
    if not isinstance(claims.get("iat"), int):  # ours always are
        raise jwt.TokenInvalid("iat")
    session_id, organization_id = claims.get("sid"), claims.get("org_id")
    if not isinstance(session_id, str | None) or not isinstance(organization_id, str | None):
        raise jwt.TokenInvalid("a claim is no text")  # never a token without session or organization instead
    audience = claims.get("aud")
    presented = Presented(
        client_id=claims["client_id"],
        user_id=claims["sub"],
        scope=split_scope(claims["scope"]),
        session_id=session_id,
        organization_id=organization_id,
        family_id=family_of(claims["jti"]),
        jti=claims["jti"],
        issued_at=int(claims["iat"]) * 1000 + 999,
        audiences=tuple(audience) if isinstance(audience, list) else (str(audience),),
        issuer=claims["iss"],
        jkt=bound_key(claims),
        claims=claims,
        consent=consent_of(claims),
        membership=membership_of(claims),
    )
    return claims, presented


def find_opaque(connection: Connection, token_digest: str, now_ms: int) -> Presented | None:
    row = _OPAQUE.first(connection, {"token": token_digest})
    if row is None or row.revoked_at is not None:
        return None
    if not row.created_at - LEEWAY_MS <= now_ms < row.expires_at:
        return None
    return Presented(
        client_id=row.client_id,
        user_id=row.user_id,
        scope=split_scope(row.scope),
        session_id=row.session_id,
        organization_id=row.organization_id,
        family_id=row.family_id,
        jti="",
        issued_at=row.created_at,
        audiences=(f"{row.issuer}userinfo",),
        issuer=row.issuer,
        jkt=row.dpop_jkt,
        requested_claims=row.claims,
        expires_at=row.expires_at,
    )
