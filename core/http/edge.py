"""The outermost layer: one request, one tenant, one log line, one metric.

Decides what the host and the path of a request are, once, before any plane sees it, and answers itself only
where no tenant is known. What it found is in `scope["state"]`: `tenant`, `request_id`, `client_ip`; headers that
are put there as `answer_headers` and `rate_headers`, raw, go out with the answer, whatever it is. Raw ASGI: it is on
the way of every request.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from time import perf_counter
from typing import Any, Protocol

import structlog

from core.errors import IdentityError, NotFound, ServerError
from core.http.hosts import Forwarded, forwarded
from core.logs import current_request
from core.tenants import Tenant

log = structlog.get_logger("keystead.access")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

ERRORS_FROM = 500


@dataclass(frozen=True, slots=True)
class Destination:
    """Who answers a request, and for which tenant (None: the process itself, as for its health)."""

    tenant: Tenant | None
    app: AsgiApp


class Route(Protocol):
    """Finds the destination of a request, or raises what it is refused with."""

    async def __call__(self, host: str, path: str, scope: Scope) -> Destination: ...


Refuse = Callable[[Scope, IdentityError], AsgiApp]
Observe = Callable[[str, int, float, str | None], None]
"""Told of every answer: method, status, seconds, tenant."""


class Edge:
    def __init__(
        self,
        *,
        route: Route,
        refuse: Refuse,
        observe: Observe,
        trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    ) -> None:
        self._route = route
        self._refuse = refuse
        self._observe = observe
        self._trusted = tuple(trusted_proxies)
        self._log = log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        request_id = secrets.token_hex(8)
        state: dict[str, Any] = {"request_id": request_id, "client_ip": "", "tenant": None}
        scope["state"] = state
        status = 500

        async def send_marked(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                marks = (
                    (b"x-request-id", request_id.encode()),
                    *state.get("answer_headers", ()),
                    *state.get("rate_headers", ()),
                )
                message["headers"] = [*message.get("headers", ()), *marks]
            await send(message)

        logged_as = current_request.set(state)
        try:
            app = await self._destination(scope, state)
            try:
                await app(scope, receive, send_marked)
            except IdentityError as error:  # of an application without a router of its own
                await self._refuse(scope, error)(scope, receive, send_marked)
        finally:
            seconds = perf_counter() - started
            tenant = state["tenant"]
            self._observe(scope["method"], status, seconds, tenant.id if tenant is not None else None)
            self._log_line(scope, state["client_ip"], status, seconds)
            current_request.reset(logged_as)

    async def _destination(self, scope: Scope, state: dict[str, Any]) -> AsgiApp:
        try:
            seen = self._seen(scope)
            state["client_ip"] = seen.client_ip
            destination = await self._route(seen.host, _path(scope), scope)
        except IdentityError as error:
            return self._refuse(scope, error)
        except Exception:
            log.exception("the edge failed")
            return self._refuse(scope, ServerError())
        state["tenant"] = destination.tenant
        return destination.app

    def _seen(self, scope: Scope) -> Forwarded:
        """Host and client address: the request's own, or what a trusted proxy says."""
        peer = scope["client"][0] if scope.get("client") else ""
        return forwarded(scope["headers"], peer, self._trusted)

    def _log_line(self, scope: Scope, client_ip: str, status: int, seconds: float) -> None:
        write = self._log.error if status >= ERRORS_FROM else self._log.info
        write(
            "request",
            method=scope["method"],
            path=_loggable(scope["path"]),
            status=status,
            ms=round(seconds * 1000, 2),
            ip=client_ip,
        )


_SECRETS_BELOW = "/api/auth/reset-password/"
"""What follows is the secret of a link."""


def _loggable(path: str) -> str:
    return f"{_SECRETS_BELOW}..." if path.startswith(_SECRETS_BELOW) else path


_OF_RESOURCE = "/.well-known/oauth-protected-resource/api/v2/"
"""The one path that ends with a slash: the resource's identifier does (RFC 9728 section 3.1)."""


def _path(scope: Scope) -> str:
    """The request's path, refused where two spellings could name one handler (`//x`, `/x/`, `%2f`, `;`)."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    if path == "/":
        return path
    if (
        (path.endswith("/") and path != _OF_RESOURCE)
        or "//" in path
        or ";" in path
        or b"%2f" in raw.lower()
        or "\x00" in path
    ):
        raise NotFound()
    return path
