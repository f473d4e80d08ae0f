"""The web component with which people change their organization, and what it loads, for pages of other origins."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from tenant_runtime.login.static_files import MODULES, StaticFile

FOLDER = "/assets/"


def _serving(name: str, module: StaticFile) -> HTTPRouteHandler:
    headers = {
        "Content-Type": module.content_type,
        "Cache-Control": "public, max-age=300",
        "ETag": module.etag,
        "Access-Control-Allow-Origin": "*",  # a module is fetched by the rules of CORS; there is nothing secret in it
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }

    @get(FOLDER + name, include_in_schema=False, name=name)
    async def serve(request: Request[Any, Any, Any]) -> Response[bytes]:
        is_known = module.etag in request.headers.get("if-none-match", "")
        body, status = (b"", 304) if is_known else (module.body, 200)
        return Response(body, status_code=status, headers=headers, media_type=module.content_type)

    return serve


handlers = [_serving(name, module) for name, module in MODULES.items()]
