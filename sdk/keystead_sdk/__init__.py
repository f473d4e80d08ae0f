"""For APIs that accept the access tokens of a Keystead tenant, or of many.

`TokenVerifier` turns a token into a `Principal` or raises. `keystead_sdk.litestar` has guards,
`keystead_sdk.organizations` keeps database statements inside the caller's organization,
`keystead_sdk.testing` signs tokens for tests. Implements the resource server's side of RFC 9068 (JWT
access tokens), RFC 6750 (bearer tokens) and RFC 8725 (JWT practice); it issues nothing and knows no
database of the identity server.
"""

from keystead_sdk.discovery import DiscoveredKeys
from keystead_sdk.errors import (
    BadRequest,
    InsufficientScope,
    KeysteadError,
    KeysUnavailable,
    Misused,
    OrganizationRequired,
    TokenInvalid,
    TokenMissing,
    UnscopedStatement,
)
from keystead_sdk.fetching import Fetch
from keystead_sdk.keys import KeySet, KeySource
from keystead_sdk.principal import Principal
from keystead_sdk.verifier import IssuerRule, TokenVerifier

__all__ = [
    "BadRequest",
    "DiscoveredKeys",
    "Fetch",
    "InsufficientScope",
    "IssuerRule",
    "KeySet",
    "KeySource",
    "KeysUnavailable",
    "KeysteadError",
    "Misused",
    "OrganizationRequired",
    "Principal",
    "TokenInvalid",
    "TokenMissing",
    "TokenVerifier",
    "UnscopedStatement",
]
