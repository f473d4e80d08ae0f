"""What the caller's organization has bought, as the token says (scope `entitlements`)."""

from keystead_sdk.errors import LicenseRequired, Misused
from keystead_sdk.principal import UNLIMITED, Principal


def has_license(principal: Principal, feature: str, *, need: int = 1) -> bool:
    """Whether the organization may use the feature, so much of it. A token that does not say is not enough; it tells of
    the moment at which it was issued."""
    check_asked(feature, need)
    value = principal.entitlements.get(feature, 0)
    return value is True or value == UNLIMITED or need <= int(value)


def check_asked(feature: str, need: int) -> None:
    """Nothing asked would be granted to everybody."""
    if not feature or isinstance(need, bool) or need < 1:
        raise Misused("Name a feature, and how much of it is needed: 1 or more.")


def require_license(principal: Principal, feature: str, *, need: int = 1) -> None:
    if not has_license(principal, feature, need=need):
        raise LicenseRequired(feature, scheme=principal.scheme)
