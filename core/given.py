"""Whose consent an access token rests on: of one person, to one client, for one API, in one organization.

A token that stands alone, of no refresh family, is found by this name when the consent is withdrawn.
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
