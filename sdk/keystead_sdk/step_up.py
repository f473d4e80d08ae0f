"""A request that needs more than a good token: a person who logged in more strongly, or more lately (RFC 9470)."""

import re
import time
from collections.abc import Sequence

from keystead_sdk.errors import AuthenticationInsufficient, Misused
from keystead_sdk.principal import Principal

_acr = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def require_authentication(
    principal: Principal,
    *,
    acr_values: Sequence[str] = (),
    max_age: int | None = None,
    now: float | None = None,
) -> None:
    """`acr` must be one of `acr_values`, and `auth_time` not longer ago than `max_age` seconds. A token that does
    not say is not enough. Raises `AuthenticationInsufficient`, whose challenge names what is wanted: the application
    sends the person to the authorization endpoint with it."""
    check_wanted(acr_values, max_age)
    is_strong = not acr_values or principal.claims.get("acr") in tuple(acr_values)
    if is_strong and (max_age is None or _age(principal, time.time() if now is None else now) <= max_age):
        return
    raise AuthenticationInsufficient(acr_values=acr_values, max_age=max_age, scheme=principal.scheme)


def check_wanted(acr_values: Sequence[str], max_age: int | None) -> None:
    """What is asked for goes into a header, and must ask for something."""
    if isinstance(acr_values, str) or not all(_acr.fullmatch(one) for one in acr_values):
        raise Misused("acr_values is a list of names without spaces and quotes.")
    if max_age is not None and max_age < 0:
        raise Misused("max_age is a number of seconds.")
    if not acr_values and max_age is None:
        raise Misused("Say which authentication is needed: acr_values, max_age, or both.")


def _age(principal: Principal, now: float) -> float:
    authenticated_at = principal.claims.get("auth_time")
    if isinstance(authenticated_at, bool) or not isinstance(authenticated_at, int | float):
        return float("inf")
    return now - authenticated_at
