"""What the SDK raises. Each class has a status and, where RFC 6750 section 3.1, RFC 9449 section 7.1 or RFC 9470
section 3 name one, an error code.

Messages are sentences for whoever sent the token; nothing of the token itself is repeated in them.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

BEARER, DPOP = "Bearer", "DPoP"
PROOF_ALGORITHMS = "ES256 PS256 EdDSA"


class KeysteadError(Exception):
    status: ClassVar[int] = 500
    code: ClassVar[str] = "server_error"
    #: whether an answer carries a `WWW-Authenticate` header
    challenges: ClassVar[bool] = False

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description
        self.scheme = BEARER

    def challenge(self) -> str:
        """RFC 6750 section 3, RFC 9449 section 7.1: the value of `WWW-Authenticate`."""
        algorithms = f', algs="{PROOF_ALGORITHMS}"' if self.scheme == DPOP else ""
        return f'{self.scheme} error="{self.code}", error_description="{self.description}"{algorithms}'

    @property
    def headers(self) -> Mapping[str, str]:
        """Of an answer, beside the challenge."""
        return {}


class BadRequest(KeysteadError):
    """The request carries credentials in a way that RFC 6750 section 2 does not allow."""

    status = 400
    code = "invalid_request"
    challenges = True


class TokenMissing(KeysteadError):
    status = 401
    code = "unauthenticated"
    challenges = True

    def __init__(
        self, description: str = "An access token is required.", *, schemes: Iterable[str] = (BEARER,)
    ) -> None:
        super().__init__(description)
        self.schemes = tuple(schemes)

    def challenge(self) -> str:
        """No error code when the request lacked any authentication (RFC 6750 section 3.1)."""
        named = {BEARER: BEARER, DPOP: f'{DPOP} algs="{PROOF_ALGORITHMS}"'}
        return ", ".join(named[scheme] for scheme in self.schemes)


class TokenInvalid(KeysteadError):
    status = 401
    code = "invalid_token"
    challenges = True


class ProofInvalid(KeysteadError):
    """The proof that the caller holds the token's key is missing or no good (RFC 9449 section 7.1)."""

    status = 401
    code = "invalid_dpop_proof"
    challenges = True

    def __init__(self, description: str = "The DPoP proof is invalid.") -> None:
        super().__init__(description)
        self.scheme = DPOP


class NonceRequired(ProofInvalid):
    """RFC 9449 section 9: the proof must be made again, with `nonce`."""

    code = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("The DPoP proof must carry the nonce of the DPoP-Nonce header.")
        self.nonce = nonce

    @property
    def headers(self) -> Mapping[str, str]:
        return {"DPoP-Nonce": self.nonce}


class AuthenticationInsufficient(KeysteadError):
    """The person must log in again, more strongly or more lately (RFC 9470 section 3)."""

    status = 401
    code = "insufficient_user_authentication"
    challenges = True

    def __init__(self, *, acr_values: Iterable[str] = (), max_age: int | None = None, scheme: str) -> None:
        super().__init__("A stronger or more recent login is needed.")
        self.acr_values = tuple(acr_values)
        self.max_age = max_age
        self.scheme = scheme

    def challenge(self) -> str:
        wanted = f', acr_values="{" ".join(self.acr_values)}"' if self.acr_values else ""
        if self.max_age is not None:
            wanted += f', max_age="{self.max_age}"'
        return super().challenge() + wanted


class InsufficientScope(KeysteadError):
    status = 403
    code = "insufficient_scope"
    challenges = True

    def __init__(self, required: Iterable[str], *, scheme: str = BEARER) -> None:
        super().__init__("The access token does not grant what this request needs.")
        self.scheme = scheme
        self.required = tuple(required)

    def challenge(self) -> str:
        return f'{super().challenge()}, scope="{" ".join(self.required)}"'


class OrganizationRequired(KeysteadError):
    status = 403
    code = "organization_required"

    def __init__(self, description: str = "This needs an access token for an organization.") -> None:
        super().__init__(description)


class LicenseRequired(KeysteadError):
    """The caller's organization has not bought this, or not so much of it, or the token does not say so."""

    status = 403
    code = "license_required"

    def __init__(self, feature: str, *, scheme: str = BEARER) -> None:
        super().__init__("The organization of the access token is not licensed for this.")
        self.feature = feature
        self.scheme = scheme


class NotAccessible(KeysteadError):
    """There is no such row, or it is another organization's: which of both is not said."""

    status = 404
    code = "not_found"

    def __init__(self, description: str = "There is no such thing.") -> None:
        super().__init__(description)


class KeysUnavailable(KeysteadError):
    """The issuer's keys could not be fetched: the token is neither good nor bad."""

    status = 503
    code = "keys_unavailable"


class ReplaysFull(KeysteadError):
    """No room to remember another proof: taken without being remembered, it could be used twice."""

    status = 503
    code = "temporarily_unavailable"


class Misused(KeysteadError):
    """A mistake in the program that uses the SDK, never in a request."""


class UnscopedStatement(Misused):
    """A database statement that could reach the rows of another organization."""
