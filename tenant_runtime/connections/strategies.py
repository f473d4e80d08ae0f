"""Which strategies there are, by Auth0's names."""

from typing import Literal, TypeAlias, get_args

DATABASE = "auth0"
EMAIL = "email"
SMS = "sms"

Strategy: TypeAlias = Literal[
    "auth0",
    "email",
    "sms",
    "oidc",
    "oauth2",
    "google-oauth2",
    "windowslive",
    "waad",
    "github",
    "apple",
    "samlp",
]
STRATEGIES: frozenset[str] = frozenset(get_args(Strategy))
USABLE = frozenset({DATABASE, EMAIL})
"""Those by which people log in today."""

FEDERATED = STRATEGIES - {DATABASE, EMAIL, SMS}
"""Somebody else knows the people, so one may be for all tenants. People and their codes are each tenant's own."""


def is_usable(strategy: str) -> bool:
    return strategy in USABLE
