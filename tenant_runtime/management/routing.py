"""How a handler of this API is declared: method, path, what it needs. Nothing is reachable without a permission.

The permissions of a route are its guard, and its security in the OpenAPI document; tests are generated from them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from litestar import MediaType, Response, Router, delete, get, patch, post, put
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from core.errors import IdentityError
from core.http.errors import AnyRequest, as_management, to_identity_error
from core.http.refusals import RESPONSES
from core.http.security import API_HEADERS
from tenant_runtime.management.access import requires
from tenant_runtime.management.calls import ManagementRequest, call_of
from tenant_runtime.management.documentation import ManagementOperation
from tenant_runtime.management.trail import add_failure
from tenant_runtime.oauth.protected_resource import with_resource_metadata

SECURITY_SCHEME = "bearer"
MAX_BODY = 256 * 1024

Declare = Callable[[Callable[..., Any]], Any]


def reading(path: str, *permissions: str, **options: Any) -> Declare:
    return get(path, **_declared(path, permissions, options))


def creating(path: str, *permissions: str, **options: Any) -> Declare:
    return post(path, **_declared(path, permissions, {"status_code": 201, **options}))


def changing(path: str, *permissions: str, **options: Any) -> Declare:
    return patch(path, **_declared(path, permissions, options))


def replacing(path: str, *permissions: str, **options: Any) -> Declare:
    return put(path, **_declared(path, permissions, options))


def removing(path: str, *permissions: str, **options: Any) -> Declare:
    return delete(path, **_declared(path, permissions, {"status_code": 204, **options}))


def accepted() -> Response[Any]:
    """202 and nothing more: what was asked for is done by then, as far as it is ours to do."""
    return Response(b"", status_code=202, media_type=MediaType.TEXT)


def _declared(path: str, permissions: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "guards": [requires(*permissions)],
        "security": [{SECURITY_SCHEME: [permission]} for permission in permissions],
        "tags": [path.split("/")[1]],
        "operation_id": _operation_id,
        "operation_class": ManagementOperation,
        "responses": RESPONSES,
        **options,
    }


def _operation_id(handler: Any, *_: Any) -> str:
    return str(handler.handler_name)


def refused(request: AnyRequest, exc: Exception) -> Response[Any]:
    """In Auth0's shape; a write that was refused is an event too."""
    error: IdentityError = to_identity_error(exc)
    add_failure(request, error)
    return as_management(request, exc)


def management_router(handlers: Sequence[ControllerRouterHandler]) -> Router:
    return Router(
        "/api/v2",
        route_handlers=handlers,
        dependencies={"call": Provide(call_of, sync_to_thread=False)},
        exception_handlers={Exception: with_resource_metadata(refused)},
        request_class=ManagementRequest,
        request_max_body_size=MAX_BODY,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in API_HEADERS.items()],
    )
