"""For APIs that accept the access tokens of a Keystead tenant, or of many.

`TokenVerifier` turns a token into a `Principal` or raises; with `ProofOfPossession` also a token that is bound to a
key. `keystead_sdk.litestar` has guards, `keystead_sdk.organizations` keeps database statements inside the caller's
organization, `keystead_sdk.sign_in` signs people in to an application, `keystead_sdk.testing` signs tokens for tests.
Implements the resource server's side of RFC 9068 (JWT access tokens), RFC 6750 (bearer tokens), RFC 9449 (DPoP),
RFC 9470 (step-up) and RFC 8725 (JWT practice), and the client's side of OpenID Connect Core 1.0; it issues nothing and
knows no database of the identity server.
"""

from keystead_sdk.admission import Admitted, Shown
from keystead_sdk.discovery import DiscoveredKeys
from keystead_sdk.dpop import (
    LocalNonces,
    LocalReplays,
    NonceSource,
    NonceVerdict,
    ProofOfPossession,
    ReplayMemory,
)
from keystead_sdk.errors import (
    AuthenticationInsufficient,
    BadRequest,
    InsufficientScope,
    KeysteadError,
    KeysUnavailable,
    LicenseRequired,
    Misused,
    NonceRequired,
    NotAccessible,
    OrganizationRequired,
    ProofInvalid,
    ReplaysFull,
    TokenInvalid,
    TokenMissing,
    UnscopedStatement,
)
from keystead_sdk.fetching import Fetch
from keystead_sdk.keys import KeySet, KeySource
from keystead_sdk.licenses import has_license, require_license
from keystead_sdk.principal import Principal
from keystead_sdk.step_up import require_authentication
from keystead_sdk.verifier import IssuerRule, TokenVerifier

__all__ = [
    "Admitted",
    "AuthenticationInsufficient",
    "BadRequest",
    "DiscoveredKeys",
    "Fetch",
    "InsufficientScope",
    "IssuerRule",
    "KeySet",
    "KeySource",
    "KeysUnavailable",
    "KeysteadError",
    "LicenseRequired",
    "LocalNonces",
    "LocalReplays",
    "Misused",
    "NonceRequired",
    "NonceSource",
    "NonceVerdict",
    "NotAccessible",
    "OrganizationRequired",
    "Principal",
    "ProofInvalid",
    "ProofOfPossession",
    "ReplayMemory",
    "ReplaysFull",
    "Shown",
    "TokenInvalid",
    "TokenMissing",
    "TokenVerifier",
    "UnscopedStatement",
    "has_license",
    "require_authentication",
    "require_license",
]
