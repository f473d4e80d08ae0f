"""One hierarchy of errors; the router that a request came through chooses the wire shape (`core/http/errors.py`).

Every class carries a status, a code and a sentence that may be shown. What must not be shown goes to the log
through the exception chain. Handlers raise; they never build error bodies.
"""

from collections.abc import Mapping


class IdentityError(Exception):
    """Anything that ends a request with an answer other than success."""

    status: int = 500
    code: str = "server_error"
    description: str = "The server could not complete the request."

    def __init__(
        self,
        description: str | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.description = description or type(self).description
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(self.description)


class ServerError(IdentityError):
    """An exception nobody foresaw, as it is shown: nothing of it, only the support id."""


class InvalidInput(IdentityError):
    status, code, description = 400, "invalid_body", "The request is malformed."


class InvalidQuery(InvalidInput):
    code, description = "invalid_query_string", "A query parameter is invalid."


class Unauthenticated(IdentityError):
    status, code, description = 401, "invalid_token", "A valid access token is required."


class Forbidden(IdentityError):
    status, code, description = 403, "forbidden", "This is not allowed."


class InsufficientScope(Forbidden):
    """The token is good, but lacks a permission (RFC 6750 section 3.1)."""

    code = "insufficient_scope"
    description = "Insufficient scope: no permission opens this, or there is no such resource here."

    def __init__(self, *expected: str) -> None:
        self.expected = expected
        super().__init__(f"Insufficient scope, expected any of: {', '.join(expected)}" if expected else None)


class InsufficientReach(Forbidden):
    """The token may not act on this tenant at all (`DESIGN.md` section 5)."""

    code, description = "insufficient_reach", "The token does not reach this tenant."


class NotFound(IdentityError):
    status, code, description = 404, "not_found", "Not found."

    def __init__(self, resource: str | None = None, description: str | None = None) -> None:
        super().__init__(
            description or (f"The {resource.replace('_', ' ')} does not exist." if resource else None),
            code=f"inexistent_{resource}" if resource else None,
        )


class Conflict(IdentityError):
    status, code, description = 409, "conflict", "This already exists."


class Unprocessable(IdentityError):
    status, code, description = 422, "unprocessable", "The request contradicts an earlier one."


class PayloadTooLarge(IdentityError):
    status, code, description = 413, "payload_too_large", "The request body is too large."


class RateLimited(IdentityError):
    status, code, description = 429, "too_many_requests", "Too many requests. Try again later."

    def __init__(self, description: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(description, headers={"Retry-After": str(retry_after)})


class Unavailable(IdentityError):
    status, code, description = 503, "temporarily_unavailable", "Temporarily unavailable. Try again shortly."

    def __init__(
        self, description: str | None = None, *, retry_after: int = 1, code: str | None = None
    ) -> None:
        super().__init__(description, code=code, headers={"Retry-After": str(retry_after)})


# --- Databases -------------------------------------------------------------------------------------------------


class DatabaseUnavailable(Unavailable):
    """A tenant's database cannot be used now. The sentence shown never says why; the log does."""


class DatabaseMissing(DatabaseUnavailable):
    """The file is not where the pointer says. It is never created anew: an empty database is data loss."""


class DatabaseElsewhere(DatabaseUnavailable):
    """Nothing leads there from here: a file of another machine, or a back end or region that this process was not
    given."""


class DatabaseCorrupt(DatabaseUnavailable):
    """The file is there, but is not a readable database."""


class WrongDatabase(DatabaseUnavailable):
    """The database says that it belongs to another tenant, or to an earlier life of this one."""


class DatabaseMoved(WrongDatabase):
    """It takes no more writes: the tenant goes on in another database, to which the pointer leads or will in a moment.
    Nothing was written."""


class DatabaseBusy(DatabaseUnavailable):
    """The unit of work was not started within its deadline, and was withdrawn: nothing happened."""


class DatabaseCrowded(DatabaseBusy):
    """Its server takes no more connections: others of this process have to give theirs back first."""


class DatabaseFull(DatabaseUnavailable):
    """No room to write: rolled back, nothing happened."""


class OutcomeUnknown(DatabaseUnavailable):
    """COMMIT was sent and its answer is not known. Never retried blindly."""


# --- Tenants ---------------------------------------------------------------------------------------------------


class UnknownTenant(NotFound):
    """No tenant has this host (or it was deleted): nothing is named in the answer."""

    def __init__(self) -> None:
        super().__init__(description="There is nothing here.")
        self.code = "tenant_not_found"


class TenantSuspended(Forbidden):
    code, description = "tenant_suspended", "This tenant is suspended."


class TooManyTenants(Forbidden):
    """`KEYSTEAD_TENANTS_PER_USER`."""

    code, description = "too_many_tenants", "You have as many tenants as one person may create."


class ManagedByControlPlane(Forbidden):
    """A system entity: the control plane's, read-only in a tenant (`specs/tenancy.md` section 5)."""

    code = "operation_not_supported"

    def __init__(self, kind: str) -> None:
        noun = kind.replace("_", " ")
        super().__init__(
            f"This {noun} is a system resource and cannot be modified. Make changes in the control plane instead."
        )
        self.kind = kind


class ManagedByTenant(Forbidden):
    """A tenant organization lives and dies with its tenant; only converge writes it."""

    code, description = "operation_not_supported", "This organization belongs to a tenant and follows it."


# --- OAuth -----------------------------------------------------------------------------------------------------


class OAuthError(IdentityError):
    """An error of RFC 6749 and its relatives, by its registered name.

    Whether it may travel by redirect is decided by the authorization endpoint, once client and redirect URI are
    known to be good; the error itself does not know.
    """

    status, code, description = 400, "invalid_request", "The request is malformed."


class InvalidRequest(OAuthError):
    """RFC 6749 sections 4.1.2.1 and 5.2."""


class InvalidClient(OAuthError):
    """RFC 6749 section 5.2: 401, with the scheme the client may use."""

    status, code, description = 401, "invalid_client", "Client authentication failed."

    def __init__(self, description: str | None = None) -> None:
        super().__init__(description, headers={"WWW-Authenticate": 'Basic realm="keystead", charset="UTF-8"'})


class InvalidGrant(OAuthError):
    code, description = (
        "invalid_grant",
        "The grant is invalid, expired, revoked or was issued to another client.",
    )


class UnauthorizedClient(OAuthError):
    code, description = "unauthorized_client", "The client may not use this grant type."


class UnsupportedGrantType(OAuthError):
    code, description = "unsupported_grant_type", "The grant type is not supported."


class UnsupportedResponseType(OAuthError):
    code, description = "unsupported_response_type", "The response type is not supported."


class InvalidScope(OAuthError):
    code, description = "invalid_scope", "The scope is invalid or exceeds what was granted."


class AccessDenied(OAuthError):
    status, code, description = 403, "access_denied", "Access denied."


class LoginRequired(OAuthError):
    """OpenID Connect Core 1.0, section 3.1.2.6."""

    code, description = "login_required", "Login required."


class InteractionRequired(OAuthError):
    code, description = "interaction_required", "The person must do something first."


class ConsentRequired(OAuthError):
    code, description = "consent_required", "Consent required."


class UnmetAuthenticationRequirements(OAuthError):
    """OpenID Connect Core Error Code unmet_authentication_requirements 1.0."""

    code = "unmet_authentication_requirements"
    description = "The authentication that was asked for cannot be had here."


class InvalidRequestObject(OAuthError):
    """RFC 9101 section 7."""

    code, description = "invalid_request_object", "The request object is invalid."


class InvalidRequestUri(OAuthError):
    """RFC 9101 section 7, RFC 9126 section 2.2."""

    code, description = "invalid_request_uri", "The request_uri is unknown, expired or not this client's."


class InvalidTarget(OAuthError):
    """RFC 8707 section 2."""

    code, description = "invalid_target", "The resource is unknown or may not be asked for."


class AuthorizationPending(OAuthError):
    """RFC 8628 section 3.5."""

    code, description = "authorization_pending", "The person has not decided yet."


class SlowDown(OAuthError):
    """RFC 8628 section 3.5: five seconds more between two polls from now on."""

    code, description = "slow_down", "Polled too often. Wait five seconds longer."


class ExpiredToken(OAuthError):
    """RFC 8628 section 3.5."""

    code, description = "expired_token", "The device code has expired."


class InvalidClientMetadata(OAuthError):
    """RFC 7591 section 3.2.2."""

    code, description = "invalid_client_metadata", "The client metadata is invalid."


class InvalidRedirectUri(OAuthError):
    """RFC 7591 section 3.2.2."""

    code, description = "invalid_redirect_uri", "A redirect address is invalid."


class InvalidDpopProof(OAuthError):
    """RFC 9449 section 5; where a resource is asked for, `userinfo` answers it by a challenge (section 7.1)."""

    code, description = "invalid_dpop_proof", "The DPoP proof is invalid."


class UseDpopNonce(OAuthError):
    """RFC 9449 section 8. The header brings the nonce to use."""

    code, description = "use_dpop_nonce", "The DPoP proof must carry the nonce of the DPoP-Nonce header."

    def __init__(self, nonce: str) -> None:
        super().__init__(headers={"DPoP-Nonce": nonce})


class InvalidToken(OAuthError):
    """RFC 6750 section 3.1."""

    status, code, description = 401, "invalid_token", "The access token is invalid, expired or revoked."

    def __init__(self, description: str | None = None) -> None:
        super().__init__(description)
        self.headers["WWW-Authenticate"] = (
            f'Bearer error="invalid_token", error_description="{self.description}"'
        )
