"""How strongly somebody proved who they are (`acr`, OpenID Connect Core 1.0 section 2; RFC 9470).

`acr_values` are wishes: what cannot be had is not had, and the ID token says what was. A value that the `claims`
parameter calls essential is a condition (section 5.5.1.1): if it cannot be had, the request ends.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import UnmetAuthenticationRequirements

SINGLE_FACTOR = "urn:keystead:acr:single-factor"
SUPPORTED = (SINGLE_FACTOR,)


def acr_of(amr: Iterable[str]) -> str | None:
    """By the methods of a session (RFC 8176)."""
    return SINGLE_FACTOR if any(amr) else None


def check_essential(claims: Mapping[str, Any] | None) -> None:
    """Raises `UnmetAuthenticationRequirements` where nothing that is essential can be had."""
    wanted = ((claims or {}).get("id_token") or {}).get("acr") or {}
    if wanted.get("essential") is not True:
        return
    values = wanted.get("values", [wanted["value"]] if "value" in wanted else None)
    if values is not None and (not isinstance(values, list) or not set(SUPPORTED) & set(map(str, values))):
        raise UnmetAuthenticationRequirements
