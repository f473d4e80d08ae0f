"""The platform API as one ASGI application, mounted by `entrypoints/` on the control-plane host.

Its OpenAPI document is `/api/v2/fleet/openapi.json` there.
"""

from functools import cache
from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.datastructures import ResponseHeader
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from controlplane import backups, fleet, migrations, moves, operations, tenants
from controlplane.access import agrees, as_platform, is_known, stands
from core.errors import InvalidInput
from core.http.application import Application
from core.http.security import API_HEADERS
from keystead_sdk.litestar import add_answer_headers

BODY_LIMIT = 64 * 1024


class PlatformRequest(Request[Any, Any, Any]):
    """Bodies are decoded once, strictly, into the type that the handler asks for."""

    async def json(self) -> Any:
        media = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if media != "application/json":
            raise InvalidInput(
                "The content type must be application/json.", code="unsupported_media_type", status=415
            )
        wanted = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        content = await self.body()
        await stands(self, self.route_handler)  # it may have taken its time to come
        return msgspec.json.decode(content or b"{}", type=wanted)


@cache
def platform_app() -> Litestar:
    """Routes are made once in a process: what they work with comes with the request."""
    router = Router(
        "/api/v2",
        route_handlers=[
            *tenants.handlers,
            *operations.handlers,
            *fleet.handlers,
            *migrations.handlers,
            *backups.handlers,
            *moves.handlers,
        ],
        guards=[is_known, stands, agrees],
        request_class=PlatformRequest,
        request_max_body_size=BODY_LIMIT,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in API_HEADERS.items()],
    )
    return Application(
        [router],
        exception_handlers={Exception: as_platform},
        before_send=[add_answer_headers],
        openapi_config=OpenAPIConfig(
            title="Keystead platform API",
            version="1",
            path="/api/v2/fleet/openapi.json",
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            render_plugins=[JsonRenderPlugin(path="/")],
        ),
        logging_config=None,
        debug=False,
    )
