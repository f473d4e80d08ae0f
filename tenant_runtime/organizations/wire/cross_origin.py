"""The CORS protocol of `/api/auth`: pages of a trusted origin call it with the browser's cookies (B.2).

Around the routes: the headers go out with whatever is answered, refusals included, and no route knows of preflights.
"""

from core.http.edge import AsgiApp, Receive, Scope, Send
from core.http.security import header_values
from core.tenants import Tenant
from tenant_runtime.organizations.wire.origins import trusted_origins

PREFIX = "/api/auth/"
EXPOSED = b"x-retry-after, retry-after, x-request-id"
_VARY = (b"vary", b"Origin")
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"600"),
]

RawHeaders = list[tuple[bytes, bytes]]


class CrossOrigin:
    def __init__(self, routes: AsgiApp) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            return await self._routes(scope, receive, send)
        shared = await _headers(scope)
        scope["state"]["answer_headers"] = [*scope["state"].get("answer_headers", ()), *shared]
        if scope["method"] != "OPTIONS":
            return await self._routes(scope, receive, send)
        allowed = _PREFLIGHT if len(shared) > 1 else []
        await send({"type": "http.response.start", "status": 204, "headers": [*allowed]})
        return await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _headers(scope: Scope) -> RawHeaders:
    tenant: Tenant = scope["state"]["tenant"]
    origins = header_values(scope["headers"], "origin")
    if len(origins) != 1 or origins[0] not in await trusted_origins(tenant):
        return [_VARY]
    return [
        _VARY,
        (b"access-control-allow-origin", origins[0].encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", EXPOSED),
    ]
