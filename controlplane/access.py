"""Who may call the platform API: decided from tenant one's token alone (`DESIGN.md` section 5).

The control plane is a resource server of tenant one and uses our own SDK like any other. A platform permission
never works beside `org_id`: a token of an organization reaches the one tenant bound to it, and nothing here but
that tenant's own record.
"""

from collections.abc import Awaitable
from typing import Any, cast

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from controlplane.services import services_of
from core.errors import (
    Forbidden,
    IdentityError,
    InsufficientReach,
    InsufficientScope,
    InvalidInput,
    RateLimited,
    Unauthenticated,
)
from core.errors import Unavailable as KeysAway
from core.given import consent_of
from core.http.allowances import count_call, seconds
from core.http.errors import as_management
from core.http.refusals import RESPONSES
from core.http.security import header_values
from keystead_sdk.errors import (
    BadRequest,
    KeysteadError,
    KeysUnavailable,
    ProofInvalid,
    TokenInvalid,
    TokenMissing,
)
from keystead_sdk.litestar import authenticate, challenge_headers, principal_of
from keystead_sdk.principal import Principal

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def requires(*permissions: str) -> Guard:
    """One of `permissions`, in a token of tenant one that carries no organization."""

    def guard(connection: AnyConnection, _: BaseRouteHandler) -> None:
        principal = principal_of(connection)
        if principal.org_id is not None:
            raise InsufficientReach()
        if not any(principal.has_permission(permission) for permission in permissions):
            raise InsufficientScope(*permissions)

    return guard


def needs(*permissions: str) -> dict[str, Any]:
    """A route's guard, and what the OpenAPI document says of it."""
    return {
        "guards": [requires(*permissions)],
        "security": [{"bearer": [permission]} for permission in permissions],
        "responses": RESPONSES,
    }


async def is_known(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Carries a good token of tenant one."""
    verify = authenticate(services_of(connection).verifier)
    try:
        await cast("Awaitable[None]", verify(connection, handler))
    except KeysteadError:
        _count(connection, None)
        raise
    principal = principal_of(connection)
    wait = _count(connection, principal.client_id or principal.subject)
    if wait > 0.0:
        raise RateLimited(retry_after=seconds(wait))


def _count(connection: AnyConnection, caller: str | None) -> float:
    """With the Management API of tenant one: the platform API is more of it."""
    services, state = services_of(connection), connection.scope["state"]
    return count_call(services.allowances, state, state["tenant"], caller, services.clock.now())


def agrees(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """The header `tenant-id` may select only what the path says: the tenant in it, or the control plane itself."""
    selected = set(header_values(connection.headers, "tenant-id"))
    services = services_of(connection)
    here = {services.settings.control_plane_tenant, connection.path_params.get("tenant_id")}
    if selected - here:
        raise InsufficientReach()


async def stands(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """A token outlives what happens to its holder; power over every tenant does not."""
    principal = principal_of(connection)
    services = services_of(connection)
    claims = principal.claims
    if "act" in claims:  # somebody else's name is borrowed for no such power (RFC 8693 section 4.1)
        raise Unauthenticated()
    if not await services.operators.still_stand(
        principal.subject, claims["iat"], claims.get("jti"), consent_of(claims), principal.org_id
    ):
        raise Unauthenticated()


def outside_organizations(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Any token of tenant one without an organization; what it sees is decided by the handler."""
    if principal_of(connection).org_id is not None:
        raise InsufficientReach()


def signed_in_person(principal: Principal) -> str:
    """The operator's user id; a machine is nobody's member."""
    if principal.is_machine:
        raise InsufficientScope("read:tenants")
    return principal.subject


def as_platform(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The SDK's refusals in the Management API's shape."""
    return as_management(request, _translated(error) if isinstance(error, KeysteadError) else error)


def _translated(error: KeysteadError) -> IdentityError:
    match error:
        case TokenMissing():
            return Unauthenticated(headers=challenge_headers(error))
        case TokenInvalid():
            return Unauthenticated(error.description, headers=challenge_headers(error))
        case ProofInvalid():
            return Unauthenticated(error.description, code=error.code, headers=challenge_headers(error))
        case BadRequest():
            return InvalidInput(error.description, code="invalid_request")
        case KeysUnavailable():
            return KeysAway()
    return Forbidden(error.description, code=error.code)
