"""How the Management API of a tenant is reached: over HTTP with a client's secret, or in this process, as who is at
the machine. Both go through the same handlers, so validation, limits and the log of events are the same."""

import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.clock import now_ms
from core.http.edge import Receive, Scope, Send
from core.settings import Settings, is_loopback
from core.tenants import Tenant
from entrypoints.asgi import create_app
from entrypoints.configuration.failures import Failed
from entrypoints.network import ApiError, LoopbackTransport, client_credentials, patiently
from tenant_runtime.app import tenant_app
from tenant_runtime.management.access import AT_THE_MACHINE, Actor
from tenant_runtime.management.permissions import PLATFORM, TENANT


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The API of one tenant. `client_id` is the client that comes through it, which nobody changes by itself."""

    http: httpx.AsyncClient
    issuer: str
    token: str | None = None
    client_id: str | None = None

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        url = f"{self.issuer}api/v2{path}"
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            response = await patiently(
                lambda: self.http.request(method, url, json=body, params=query or None, headers=headers)
            )
        except httpx.TransportError as error:
            raise Failed(f"nothing answers at {self.issuer}: {error}") from error
        try:
            return Answer(response.status_code, response.json() if response.content else None)
        except ValueError:
            return Answer(response.status_code, response.text[:200])


@asynccontextmanager
async def from_afar(domain: str, client_id: str, client_secret: str) -> AsyncIterator[Door]:
    """`domain` as Auth0's tools take it, or with a scheme for a server on this machine without TLS."""
    issuer = f"{domain if '://' in domain else f'https://{domain}'}".rstrip("/") + "/"
    if not issuer.startswith("https://") and not is_loopback(urlsplit(issuer).hostname or ""):
        raise Failed(f"{issuer}: a secret goes over https, or stays on this machine")
    async with httpx.AsyncClient(transport=LoopbackTransport(), timeout=60) as http:
        try:
            token = await client_credentials(http, issuer, client_id, client_secret, f"{issuer}api/v2/")
        except httpx.TransportError as error:
            raise Failed(f"nothing answers at {issuer}: {error}") from error
        except ApiError as error:
            raise Failed(str(error)) from error
        yield Door(http=http, issuer=issuer, token=token, client_id=client_id)


@asynccontextmanager
async def at_the_machine(settings: Settings, tenant_id: str) -> AsyncIterator[Door]:
    """Nothing is asked of a token: who can open the data folder holds its keys."""
    app = create_app(settings)
    async with app.lifespan() as running:
        tenant = await running.platform.directory.by_id(tenant_id)
        if tenant is None:
            raise Failed(f"there is no tenant {tenant_id}")
        served: Any = _Served(tenant, running.services, _operator(tenant, now_ms(running.platform.clock)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=served), timeout=60) as http:
            yield Door(http=http, issuer=tenant.issuer)


class _Served:
    """The tenant's application below the edge, with the actor that the edge never lets in."""

    def __init__(self, tenant: Tenant, services: Any, actor: Actor) -> None:
        self._state = {"tenant": tenant, "services": services, AT_THE_MACHINE: actor, "client_ip": ""}
        self._app: Any = tenant_app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {**self._state, "request_id": "command-line"}
        await self._app(scope, receive, send)


def _operator(tenant: Tenant, now: int) -> Actor:
    held = TENANT.keys() | (PLATFORM.keys() if tenant.is_control_plane else frozenset())
    return Actor(
        issuer="command line",
        subject=f"{getpass.getuser()}@{socket.gethostname()}",
        client_id=None,
        permissions=frozenset(held),
        org_id=None,
        is_machine=True,
        issued_at=now // 1000,
        jti=None,
        is_local=True,
    )
