"""Everything that acts for one tenant as one ASGI application: which router answers in which error shape.

The request's tenant is in `scope["state"]` before it gets here (`core.http.edge`); the application has no way to
find another. Routes are made once in a process, whoever serves them: what they work with comes with the request.
"""

from functools import cache
from typing import Any

from litestar import Litestar, Response, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from core.http.application import Application
from core.http.errors import AnyRequest, Handler, as_management, as_oauth, page_renderer
from tenant_runtime.agents import endpoint as agents
from tenant_runtime.login import handlers as pages
from tenant_runtime.login.answers import error_page
from tenant_runtime.management import api
from tenant_runtime.management.routing import SECURITY_SCHEME
from tenant_runtime.oauth import endpoints, logout
from tenant_runtime.oauth.authorization import endpoint as authorize
from tenant_runtime.oauth.protected_resource import with_resource_metadata
from tenant_runtime.organizations import api as organizations
from tenant_runtime.organizations import switcher
from tenant_runtime.organizations.api import BASE
from tenant_runtime.organizations.licensing import endpoints as licenses
from tenant_runtime.organizations.wire.errors import renderer

FORM_LIMIT = 64 * 1024


@cache
def tenant_app() -> Litestar:
    as_page = page_renderer(error_page)
    as_organization_api = renderer()
    protocol = Router(
        "/",
        route_handlers=[*endpoints.handlers, *agents.handlers],
        exception_handlers={Exception: with_resource_metadata(as_oauth)},
        request_max_body_size=FORM_LIMIT,
    )
    browser = Router(
        "/",
        route_handlers=[*authorize.handlers, *logout.handlers, *pages.handlers, *switcher.handlers],
        exception_handlers={Exception: as_page},
        request_max_body_size=FORM_LIMIT,
        include_in_schema=False,
    )
    return Application(
        [protocol, browser, api.router(), organizations.router(), licenses.router()],
        exception_handlers={Exception: _by_path(as_page, as_organization_api)},
        openapi_config=OpenAPIConfig(
            title="Keystead Management API",
            version="2",
            path="/api/v2/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/")],
            components=Components(
                security_schemes={
                    SECURITY_SCHEME: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
                }
            ),
        ),
        logging_config=None,
        debug=False,
    )


def _by_path(as_page: Handler, as_organization_api: Handler) -> Handler:
    """For a path or a method that no router answers: still in the shape that its caller understands."""

    def handle(request: AnyRequest, exc: Exception) -> Response[Any]:
        path = request.scope["path"]
        if path.startswith(f"{BASE}/"):
            return as_organization_api(request, exc)
        return as_management(request, exc) if path.startswith("/api/") else as_page(request, exc)

    return handle
