"""What the claims of an access token must look like (RFC 9068 section 2.2, RFC 7519 section 4.1).

Pure functions of plain values. Types are exact: an array is no issuer, text is no number.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keystead_sdk.errors import DPOP, TokenInvalid
from keystead_sdk.principal import NOTHING, UNLIMITED, Principal

MOST_AUDIENCES = 10
LONGEST_NAME = 512
#: marks of an ID token or a logout token, which share `typ: JWT` with the access tokens of some issuers
_of_other_tokens = ("nonce", "at_hash", "c_hash", "s_hash", "events")


def issuer_of(claims: Mapping[str, Any]) -> str:
    return _name(claims, "iss")


def check_kind(claims: Mapping[str, Any]) -> None:
    if any(name in claims for name in _of_other_tokens):
        raise TokenInvalid("This is not an access token.")


def check_binding(claims: Mapping[str, Any], proved: str | None) -> None:
    """A token that is bound to a key is good with a proof of that key only, one that is not with none (RFC 9449
    section 7.2). `proved` is the thumbprint of the key that the caller proved to hold."""
    bound = _bound_key(claims)
    if bound is not None and proved is None:
        error = TokenInvalid("The access token is bound to a key and cannot be used as a bearer token.")
        error.scheme = DPOP
        raise error
    if bound != proved:
        raise TokenInvalid("The access token is not bound to the key of the DPoP proof.")


def _bound_key(claims: Mapping[str, Any]) -> str | None:
    """A binding of another kind is refused: taken without it, it would be undone."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    if not isinstance(confirmation, Mapping) or set(confirmation) != {"jkt"}:
        raise TokenInvalid("The access token is bound to a key in a way that is not understood here.")
    return _name(confirmation, "jkt")


def check_times(claims: Mapping[str, Any], *, now: float, leeway: float) -> None:
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if now >= expires + leeway:
        raise TokenInvalid("The access token has expired.")
    if issued > now + leeway or issued > expires:
        raise TokenInvalid("The access token was issued in the future.")
    if "nbf" in claims and _moment(claims, "nbf") > now + leeway:
        raise TokenInvalid("The access token is not valid yet.")


def check_audience(claims: Mapping[str, Any], wanted: str) -> None:
    value = claims.get("aud")
    listed = value if isinstance(value, tuple) else (value,)
    well_formed = len(listed) <= MOST_AUDIENCES and all(isinstance(one, str) for one in listed)
    if not well_formed or wanted not in listed:
        raise TokenInvalid("The access token is for another audience.")


def principal_of(
    claims: Mapping[str, Any], *, audience: str, tenant: str | None, key_thumbprint: str | None
) -> Principal:
    org_id, org_name = _optional_name(claims, "org_id"), _optional_name(claims, "org_name")
    if org_name is not None and org_id is None:
        raise TokenInvalid("The access token names an organization without its id.")
    _check_actor(claims.get("act"))
    return Principal(
        issuer=_name(claims, "iss"),
        subject=_name(claims, "sub"),
        audience=audience,
        client_id=_client_id(claims),
        scopes=frozenset(_scope(claims)),
        permissions=frozenset(_permissions(claims)),
        org_id=org_id,
        org_name=org_name,
        tenant=tenant,
        key_thumbprint=key_thumbprint,
        claims=claims,
        **(_of_organization(claims) if org_id is not None else {}),
    )


def _of_organization(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Names that other issuers use otherwise (`entitlements` in RFC 9068 section 2.2.3.1 is a list): what does not look
    like ours says nothing, and so grants nothing."""
    role, entitlements = claims.get("org_role"), claims.get("entitlements")
    return {
        "org_role": role if isinstance(role, str) else None,
        "org_permissions": _names(claims.get("org_permissions")),
        "licenses": _names(claims.get("licenses")),
        "entitlements": _entitlements(entitlements) if isinstance(entitlements, Mapping) else NOTHING,
    }


def _names(value: Any) -> frozenset[str]:
    return (
        frozenset(one for one in value if isinstance(one, str)) if isinstance(value, tuple) else frozenset()
    )


def _entitlements(value: Mapping[str, Any]) -> Mapping[str, bool | int | str]:
    return MappingProxyType({name: one for name, one in value.items() if _is_entitlement(one)})


def _is_entitlement(value: Any) -> bool:
    return (
        value is True or value == UNLIMITED or (isinstance(value, int) and value is not False and value >= 0)
    )


def _check_actor(act: Any) -> None:
    """Delegation that is not understood would be taken for the subject's own doing (RFC 8693 section 4.1)."""
    if act is not None and (not isinstance(act, Mapping) or not isinstance(act.get("sub"), str)):
        raise _malformed("act")


def _client_id(claims: Mapping[str, Any]) -> str | None:
    client_id, azp = _optional_name(claims, "client_id"), _optional_name(claims, "azp")
    if client_id is not None and azp is not None and client_id != azp:
        raise TokenInvalid("The access token names two clients.")
    return client_id or azp


def _scope(claims: Mapping[str, Any]) -> list[str]:
    value = claims.get("scope", "")
    if not isinstance(value, str):
        raise _malformed("scope")
    return value.split()


def _permissions(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value = claims.get("permissions", ())
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
        raise _malformed("permissions")
    return value


def _optional_name(claims: Mapping[str, Any], name: str) -> str | None:
    return _name(claims, name) if name in claims else None


def _name(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise _malformed(name)
    return value


def _moment(claims: Mapping[str, Any], name: str) -> float:
    """Seconds since the epoch. Floats were found finite when they were read; true is no number here."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise _malformed(name)
    return value


def _malformed(name: str) -> TokenInvalid:
    return TokenInvalid(f"The {name} claim of the access token is missing or malformed.")
