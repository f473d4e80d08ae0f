"""What an access token rests on: a consent, of one person, to one client, for one API, in one organization; for an
organization the membership there; and of a client in its own name its grant.

A token that stands alone, of no refresh family, is found by these names when the consent is withdrawn, the membership
ends, or the grant is taken.
"""

from collections.abc import Mapping
from typing import Any

from core.ids import digest


def consent_name(user_id: str, client_id: str, audience: str, organization_id: str) -> str:
    """API and organization are empty where there is none."""
    return digest(f"consent\0{user_id}\0{client_id}\0{audience}\0{organization_id}")


def consent_of(claims: Mapping[str, Any]) -> str:
    """Of a JWT access token; empty where the claims do not say."""
    issuer, audience = claims.get("iss"), claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    apis = [one for one in named if one != f"{issuer}userinfo"]
    who = [claims.get("sub"), claims.get("client_id"), apis[0] if apis else "", claims.get("org_id", "")]
    texts = [one for one in who if isinstance(one, str)]
    return consent_name(*texts) if len(texts) == len(who) else ""


def membership_name(user_id: str, organization_id: str) -> str:
    return digest(f"membership\0{user_id}\0{organization_id}")


def membership_of(claims: Mapping[str, Any]) -> str:
    """As `consent_of`; empty for a token of no organization."""
    user_id, organization_id = claims.get("sub"), claims.get("org_id")
    if not isinstance(user_id, str) or not isinstance(organization_id, str):
        return ""
    return membership_name(user_id, organization_id)


def grant_name(client_id: str) -> str:
    """What a client may do here in its own name, in an organization or in none."""
    return digest(f"grant\0{client_id}")
