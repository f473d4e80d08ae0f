"""The web component with which people change their organization, for pages of other origins to load."""

from typing import Any

from litestar import Request, Response, get

from tenant_runtime.login.static_files import SWITCHER

PATH = "/assets/organization-switcher.js"
HEADERS = {
    "Content-Type": SWITCHER.content_type,
    "Cache-Control": "public, max-age=300",
    "ETag": SWITCHER.etag,
    "Access-Control-Allow-Origin": "*",  # a module is fetched by the rules of CORS; there is nothing secret in it
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


@get(PATH, include_in_schema=False)
async def organization_switcher(request: Request[Any, Any, Any]) -> Response[bytes]:
    is_known = SWITCHER.etag in request.headers.get("if-none-match", "")
    body, status = (b"", 304) if is_known else (SWITCHER.body, 200)
    return Response(body, status_code=status, headers=HEADERS, media_type=SWITCHER.content_type)


handlers = [organization_switcher]
