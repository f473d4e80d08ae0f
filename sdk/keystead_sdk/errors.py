"""What the SDK raises. Each class has a status and, where RFC 6750 section 3.1 names one, an error code.

Messages are sentences for whoever sent the token; nothing of the token itself is repeated in them.
"""

from collections.abc import Iterable
from typing import ClassVar


class KeysteadError(Exception):
    status: ClassVar[int] = 500
    code: ClassVar[str] = "server_error"
    #: whether an answer carries a `WWW-Authenticate: Bearer` header
    challenges: ClassVar[bool] = False

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description

    def challenge(self) -> str:
        """RFC 6750 section 3: the value of `WWW-Authenticate`."""
        return f'Bearer error="{self.code}", error_description="{self.description}"'


class BadRequest(KeysteadError):
    """The request carries credentials in a way that RFC 6750 section 2 does not allow."""

    status = 400
    code = "invalid_request"
    challenges = True


class TokenMissing(KeysteadError):
    status = 401
    code = "unauthenticated"
    challenges = True

    def __init__(self, description: str = "An access token is required.") -> None:
        super().__init__(description)

    def challenge(self) -> str:
        """No error code when the request lacked any authentication (RFC 6750 section 3.1)."""
        return "Bearer"


class TokenInvalid(KeysteadError):
    status = 401
    code = "invalid_token"
    challenges = True


class InsufficientScope(KeysteadError):
    status = 403
    code = "insufficient_scope"
    challenges = True

    def __init__(self, required: Iterable[str]) -> None:
        super().__init__("The access token does not grant what this request needs.")
        self.required = tuple(required)

    def challenge(self) -> str:
        return f'{super().challenge()}, scope="{" ".join(self.required)}"'


class OrganizationRequired(KeysteadError):
    status = 403
    code = "organization_required"

    def __init__(self, description: str = "This needs an access token for an organization.") -> None:
        super().__init__(description)


class KeysUnavailable(KeysteadError):
    """The issuer's keys could not be fetched: the token is neither good nor bad."""

    status = 503
    code = "keys_unavailable"


class Misused(KeysteadError):
    """A mistake in the program that uses the SDK, never in a request."""


class UnscopedStatement(Misused):
    """A database statement that could reach the rows of another organization."""
