"""Logout tokens: what a client checks (OpenID Connect Back-Channel Logout 1.0, section 2.6)."""

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from examples import demo

EVENT = "http://schemas.openid.net/event/backchannel-logout"
ALGORITHMS = ["RS256"]


async def session_ended(token: str, issuer: str, client_id: str) -> str | None:
    """The session (`sid`) that is over; None for what is no logout token for this client."""
    async with demo.http() as http:
        keys = KeySet.import_key_set((await http.get(f"{issuer}.well-known/jwks.json")).json())
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        iat={"essential": True},
        exp={"essential": True},
        events={"essential": True},
    )
    try:
        read = jwt.decode(token, keys, algorithms=ALGORITHMS)
        rules.validate(read.claims)
    except (JoseError, ValueError):
        return None
    if read.header.get("typ") != "logout+jwt" or EVENT not in read.claims["events"] or "nonce" in read.claims:
        return None
    sid = read.claims.get("sid")
    return sid if isinstance(sid, str) else None
