"""Every type that an event of the log may have: Auth0's codes where Auth0 has one.

The one list: an event of another type cannot be made, the page `docs/logs.md` is compared with it, and the categories
are those that a log stream may be restricted to (Auth0's names).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Category = Literal[
    "auth.login.fail",
    "auth.login.notification",
    "auth.login.success",
    "auth.logout.fail",
    "auth.logout.success",
    "auth.signup.fail",
    "auth.signup.success",
    "auth.silent_auth.fail",
    "auth.silent_auth.success",
    "auth.token_exchange.fail",
    "auth.token_exchange.success",
    "management.fail",
    "management.success",
    "scim.event",
    "system.notification",
    "user.fail",
    "user.notification",
    "user.success",
    "actions",
    "other",
]
CATEGORIES: Final[tuple[str, ...]] = get_args(Category)


@dataclass(frozen=True, slots=True)
class Code:
    description: str
    category: Category


CODES: Final[Mapping[str, Code]] = {
    # Login
    "s": Code("Signed in", "auth.login.success"),
    "f": Code("An authorization request failed", "auth.login.fail"),
    "fp": Code("Sign-in failed: wrong password, blocked, or an address that is not verified", "auth.login.fail"),
    "fu": Code("Sign-in failed: nobody has this address or name", "auth.login.fail"),
    "limit_wc": Code("Too many wrong passwords or codes in a row", "auth.login.notification"),
    "limit_mu": Code("Too many failed sign-ins or new accounts from one address", "auth.login.notification"),
    "pwd_leak": Code("A sign-in with a password that is known from a breach", "auth.login.notification"),
    "signup_pwd_leak": Code("A new account with a password that is known from a breach", "auth.signup.fail"),
    "reset_pwd_leak": Code("A new password that is known from a breach", "user.fail"),
    "ssa": Code("Authorized silently", "auth.silent_auth.success"),
    "fsa": Code("Silent authorization failed", "auth.silent_auth.fail"),
    "slo": Code("Signed out", "auth.logout.success"),
    "flo": Code("Signing out failed", "auth.logout.fail"),
    "oidc_backchannel_logout_succeeded": Code("A client was told of a logout", "auth.logout.success"),
    "oidc_backchannel_logout_failed": Code("A client could not be told of a logout", "auth.logout.fail"),
    "cls": Code("A code to sign in was sent", "auth.login.notification"),
    # Accounts
    "ss": Code("Signed up", "auth.signup.success"),
    "fs": Code("Signing up failed", "auth.signup.fail"),
    "svr": Code("A link to verify an address was sent", "user.success"),
    "sv": Code("An address was verified", "user.success"),
    "fv": Code("Verifying an address failed", "user.fail"),
    "scpr": Code("A link to choose a new password was sent", "user.success"),
    "fcpr": Code("A link to choose a new password was asked for, for nobody", "user.fail"),
    "scp": Code("A password was changed", "user.success"),
    "sce": Code("A user's address was changed", "user.success"),
    "sdu": Code("A user was deleted", "user.success"),
    "organization_created": Code("An organization was made by one of its people", "management.success"),
    "organization_updated": Code("An organization was changed by one of its people", "management.success"),
    "organization_deleted": Code("An organization was deleted by one of its people", "management.success"),
    "organization_member_added": Code("Somebody became a member of an organization", "management.success"),
    "organization_member_removed": Code("Somebody is no member of an organization any more", "management.success"),
    "organization_member_role_changed": Code("A member's roles in an organization were changed", "management.success"),
    "organization_ownership_transferred": Code("An organization got another owner", "management.success"),
    "organization_invitation_created": Code("Somebody was invited to an organization", "management.success"),
    "organization_invitation_accepted": Code("An invitation to an organization was accepted", "management.success"),
    "organization_invitation_rejected": Code("An invitation to an organization was rejected", "management.success"),
    "organization_invitation_canceled": Code("An invitation to an organization was taken back", "management.success"),
    "organization_team_created": Code("A team of an organization was made", "management.success"),
    "organization_team_updated": Code("A team of an organization was changed", "management.success"),
    "organization_team_removed": Code("A team of an organization was removed", "management.success"),
    "organization_team_member_added": Code("A member came into a team", "management.success"),
    "organization_team_member_removed": Code("A member was put out of a team", "management.success"),
    "organization_role_created": Code("A role of an organization was made", "management.success"),
    "organization_role_updated": Code("A role of an organization was changed", "management.success"),
    "organization_role_deleted": Code("A role of an organization was deleted", "management.success"),
    "organization_domain_added": Code("An organization says that a domain is its own", "management.success"),
    "organization_domain_verified": Code("An organization proved that a domain is its own", "management.success"),
    "organization_domain_updated": Code("A domain of an organization was changed", "management.success"),
    "organization_domain_removed": Code("An organization has a domain no more", "management.success"),
    "organization_settings_updated": Code("What an organization asks of its people was changed", "management.success"),
    "organization_join_requested": Code("Somebody asked to join an organization", "management.success"),
    "organization_join_canceled": Code("Somebody asks to join an organization no more", "management.success"),
    "organization_join_rejected": Code("Somebody may not join an organization", "management.success"),
    # Tokens
    "seacft": Code("Tokens for an authorization code", "auth.token_exchange.success"),
    "feacft": Code("No tokens for an authorization code", "auth.token_exchange.fail"),
    "seccft": Code("An access token for a client", "auth.token_exchange.success"),
    "feccft": Code("No access token for a client", "auth.token_exchange.fail"),
    "sertft": Code("Tokens for a refresh token", "auth.token_exchange.success"),
    "fertft": Code("No tokens for a refresh token", "auth.token_exchange.fail"),
    "ferrt": Code("A refresh token was used twice: its family is revoked", "auth.token_exchange.fail"),
    "srrt": Code("A refresh token was revoked", "auth.token_exchange.success"),
    "sepotpft": Code("Tokens for a code that was sent", "auth.token_exchange.success"),
    "fepotpft": Code("No tokens for a code that was sent", "auth.token_exchange.fail"),
    "sede": Code("Tokens for a device", "auth.token_exchange.success"),
    "fede": Code("No tokens for a device", "auth.token_exchange.fail"),
    "sete": Code("A token for another organization or API", "auth.token_exchange.success"),
    "fete": Code("No token for another organization or API", "auth.token_exchange.fail"),
    "fdeaz": Code("A device's request failed", "auth.login.fail"),
    "fdeac": Code("A device's code was entered wrongly", "auth.login.fail"),
    "sdeac": Code("A device was allowed in", "auth.login.success"),
    "fdecc": Code("A device was turned away by its user", "auth.login.fail"),
    # Management, platform and the process
    "sapi": Code("Something was changed: by the Management API, the platform API or a command", "management.success"),
    "fapi": Code("A change was refused", "management.fail"),
    "api_limit": Code("Too many requests: the tenant's limit was reached", "system.notification"),
    "signing_keys": Code("Signing keys moved on in their lives", "system.notification"),
    "fn": Code("A message, a webhook or a log stream was given up", "system.notification"),
}  # fmt: skip


def types_of(categories: Collection[str]) -> list[str]:
    return [type for type, code in CODES.items() if code.category in categories]
