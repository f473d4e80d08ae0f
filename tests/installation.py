"""What a test holds in its hands: the assembled application, a client for it, the demo's credentials, a clock."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from entrypoints.asgi import Keystead, Running
from entrypoints.demo_content import Demo, DemoTenant
from entrypoints.network import Api, client_credentials
from tests.relying_party import RelyingParty


class MovableClock:
    """The time of day, moved by a test."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds


@dataclass(frozen=True, slots=True)
class Installation:
    app: Keystead
    running: Running
    demo: Demo
    clock: MovableClock
    http: httpx.AsyncClient
    _tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def over(
        cls, app: Keystead, running: Running, demo: Demo, clock: MovableClock
    ) -> "AsyncIterator[Installation]":
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), timeout=30) as http:
            yield cls(app, running, demo, clock, http)

    def tenant(self, tenant_id: str) -> DemoTenant:
        return next(tenant for tenant in self.demo.tenants if tenant.id == tenant_id)

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        """Another browser: cookies of its own."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), timeout=30) as http:
            yield http

    def relying_party(
        self, tenant_id: str, client: str = "web", *, http: httpx.AsyncClient | None = None
    ) -> RelyingParty:
        tenant = self.tenant(tenant_id)
        return RelyingParty(
            http or self.http, tenant.issuer, tenant.clients[client], tenant.api_audience, tenant.users[0]
        )

    async def operator(self) -> Api:
        """The control plane's machine client, with every management and platform permission."""
        plane = self.demo.control_plane
        token = await self._token("", plane.issuer, plane.clients["m2m"], plane.management_audience)
        return Api(self.http, f"{plane.issuer}api/v2", token)

    async def manager(self, tenant_id: str) -> Api:
        """The tenant's own machine client, with every permission of its Management API."""
        tenant = self.tenant(tenant_id)
        token = await self._token(tenant_id, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
        return Api(self.http, f"{tenant.issuer}api/v2", token)

    async def _token(self, key: str, issuer: str, client: Any, audience: str) -> str:
        if key not in self._tokens:
            self._tokens[key] = await client_credentials(
                self.http, issuer, client.client_id, client.client_secret, audience
            )
        return self._tokens[key]
