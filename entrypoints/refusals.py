"""An answer where no router is reached, in the shape that the path's clients expect."""

from typing import Any, cast

from litestar import Request

from core.errors import IdentityError
from core.http.edge import AsgiApp, Receive, Scope, Send
from core.http.errors import (
    AnyRequest,
    Handler,
    as_authentication,
    as_management,
    as_oauth,
    as_problem,
    page_renderer,
)
from entrypoints.routing import PROCESS_PATHS
from tenant_runtime.login.answers import error_page
from tenant_runtime.organizations.wire.cross_origin import PREFIX as ORGANIZATION_API
from tenant_runtime.organizations.wire.errors import renderer as as_organization_api

_as_page: Handler = page_renderer(error_page)
_SHAPES: tuple[tuple[str, Handler], ...] = (
    (ORGANIZATION_API, as_organization_api()),
    ("/api/", as_management),
    ("/oauth/", as_oauth),
    ("/passwordless/", as_oauth),
    ("/dbconnections/", as_authentication),
    ("/oidc/register", as_oauth),
    ("/userinfo", as_oauth),
    ("/mcp", as_oauth),
    ("/.well-known/", as_oauth),
    *((path, as_problem) for path in PROCESS_PATHS),
)


def refuse(scope: Scope, error: IdentityError) -> AsgiApp:
    shape = next((render for prefix, render in _SHAPES if scope["path"].startswith(prefix)), _as_page)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request: AnyRequest = Request(cast("Any", scope), cast("Any", receive))
        response = shape(request, error).to_asgi_response(None, request)
        await response(cast("Any", scope), cast("Any", receive), cast("Any", send))

    return app
