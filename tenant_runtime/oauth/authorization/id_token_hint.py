"""`id_token_hint`: an ID token of ours, shown again to say who is meant (OpenID Connect Core 1.0, section 3.1.2.1).

Signature, type, issuer and audience count; its end does not, as a hint is most useful when the token has expired.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from core.crypto.jwt import TokenInvalid, verify
from core.crypto.keys import PublicKeys
from tenant_runtime.oauth.keys.signing import ALGORITHMS

TYPES = ("JWT", "")


@dataclass(frozen=True, slots=True)
class Hint:
    subject: str
    client_id: str
    session_id: str | None


def read_hint(
    token: str, *, keys: PublicKeys, issuers: Collection[str], clients: Collection[str]
) -> Hint | None:
    """None for anything but an ID token of this tenant for one of these clients."""
    try:
        claims = verify(token, keys, algorithms=ALGORITHMS, typ=TYPES)
    except TokenInvalid:
        return None
    issuer, subject, session_id = claims.get("iss"), claims.get("sub"), claims.get("sid")
    client_id = _audience(claims.get("aud"))
    if not isinstance(issuer, str) or issuer not in issuers or client_id not in clients:
        return None
    if not isinstance(subject, str) or not subject or client_id is None:
        return None
    return Hint(subject, client_id, session_id if isinstance(session_id, str) else None)


def _audience(value: Any) -> str | None:
    """Our ID tokens have one audience: the client."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None
