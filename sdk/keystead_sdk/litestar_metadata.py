"""Litestar: the route and the challenges of `resource_metadata.ProtectedResource`.

invoices = ProtectedResource(resource="https://api.example.com/", authorization_servers=(issuer,))
Litestar(
    [metadata_route(invoices), ...],
    plugins=[KeysteadPlugin(verifier, render=with_metadata(invoices))],
)
"""

from typing import Any

from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from keystead_sdk.litestar import OPEN_ROUTE, Renderer, render_error
from keystead_sdk.resource_metadata import ProtectedResource

CHALLENGE = "WWW-Authenticate"
_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300"}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "mcp-protocol-version",
    "Access-Control-Max-Age": "600",
}


def metadata_route(resource: ProtectedResource) -> HTTPRouteHandler:
    """Open to all, and readable by pages of any origin: it holds nothing of anybody's."""
    document = resource.document()

    @route(
        resource.path,
        http_method=[HttpMethod.GET, HttpMethod.OPTIONS],
        opt={OPEN_ROUTE: True},
        status_code=200,
        sync_to_thread=False,
        include_in_schema=False,
    )
    def protected_resource_metadata(request: Request[Any, Any, Any]) -> Response[dict[str, Any] | None]:
        if request.method == HttpMethod.OPTIONS:
            return Response(None, status_code=204, headers={**_HEADERS, **_PREFLIGHT})
        return Response(document, headers=_HEADERS)

    return protected_resource_metadata


def with_metadata(resource: ProtectedResource, render: Renderer = render_error) -> Renderer:
    """A renderer whose challenges say where the document is (RFC 9728 section 5.1)."""

    def rendered(request: Request[Any, Any, Any], error: Any) -> Response[Any]:
        response = render(request, error)
        if challenge := response.headers.get(CHALLENGE):
            response.headers[CHALLENGE] = resource.challenge(challenge)
            response.headers.setdefault("Access-Control-Expose-Headers", CHALLENGE)
        return response

    return rendered
