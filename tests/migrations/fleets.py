"""Many tenants in a folder, as the release before made them, in seconds: they share one signing key, which nobody minds
who only looks at schemas; and people who sign in all the while."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import httpx
import msgspec
from sqlalchemy import Connection

import migrations
from controlplane.registry.tenants import RegisteredTenant, insert_tenant
from core.tenants import NewTenant
from entrypoints.demo_content import Demo
from provisioning.converge import data_key_of, desired_for, ensure_database
from provisioning.fill import fill_with
from provisioning.first_rows import prepare
from provisioning.lifecycle import new_tenant
from provisioning.parts import Parts
from provisioning.platform import Platform, open_platform
from sync.catalogue import Desired
from tests.conftest import settings_for
from tests.migrations.behind import BEFORE
from tests.migrations.older import undo_to
from tests.relying_party import RelyingParty

THREADS = 8
HEAD = migrations.head("tenant")


async def add_tenants(
    data: Path, count: int, *, backend: str = "sqlite", older: bool = True, **settings: object
) -> float:
    """Tenants `many-00000` and up; answers the seconds that it took."""
    started = monotonic()
    platform = await open_platform(settings_for(data, migrate="command", **settings))
    try:
        tenants = [_registered(platform, number, backend) for number in range(count)]
        await _make(platform, tenants, older=older)
        await platform.registry.alone(_insert, tenants, BEFORE if older else HEAD)
    finally:
        await platform.close()
    return monotonic() - started


def many(number: int) -> str:
    return f"many-{number:05}"


def _registered(platform: Platform, number: int, backend: str) -> RegisteredTenant:
    parts = platform.parts
    new = NewTenant(id=many(number), display_name=f"Number {number}", add_creator=False)
    return new_tenant(parts, new, parts.backend(backend), now=parts.now(), organization=False)


async def _make(platform: Platform, tenants: Sequence[RegisteredTenant], *, older: bool) -> None:
    parts = platform.parts
    key, desired = await parts.keystock.claim(), await desired_for(parts, tenants[0])
    if older:
        _make_template_older(parts, desired)

    def make(share: Sequence[RegisteredTenant]) -> None:
        for tenant in share:
            audience = f"{parts.settings.tenant_issuer(tenant.id)}api/v2/"
            first = prepare(
                data_key_of(parts, tenant),
                key,
                management_audience=audience,
                now=parts.now(),
                is_control_plane=False,
            )
            ensure_database(parts, tenant, parts.ref(tenant), first, desired)

    with ThreadPoolExecutor(THREADS) as threads:
        loop = asyncio.get_running_loop()
        shares = [tenants[start::THREADS] for start in range(THREADS)]
        await asyncio.gather(*(loop.run_in_executor(threads, make, share) for share in shares))


def _make_template_older(parts: Parts, desired: Desired) -> None:
    """Every file that is made of it is as the release before would have made it."""
    key, fill = fill_with(desired, is_same_for_all=parts.desired.sharing.is_same_for_all, now=parts.now())
    undo_to(parts.templates.get(key, fill).driver, BEFORE)


def _insert(connection: Connection, tenants: Sequence[RegisteredTenant], version: str) -> None:
    for tenant in tenants:
        active = {"state": "active", "activated_at": tenant.created_at}
        insert_tenant(connection, msgspec.structs.replace(tenant, **active, schema_version=version))


class Served(Protocol):
    def client(self) -> httpx.AsyncClient: ...


@dataclass(frozen=True)
class InProcess:
    """An application that this process serves itself."""

    app: Any

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), timeout=30)


@dataclass
class People:
    """They sign in and refresh at the demo's tenants, one after the other, until they are told to stop."""

    server: Served
    demo: Demo
    logins: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _stop: bool = False

    async def __aenter__(self) -> "People":
        self._tasks = [asyncio.create_task(self._keep_on(tenant.id)) for tenant in self.demo.tenants]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def _keep_on(self, tenant_id: str) -> None:
        while not self._stop:
            started = monotonic()
            try:
                await self._sign_in(tenant_id)
                self.logins += 1
            except Exception as error:
                self.failures.append(f"{tenant_id}: {error!r}")
            self.slowest = max(self.slowest, monotonic() - started)

    async def _sign_in(self, tenant_id: str) -> None:
        tenant = next(tenant for tenant in self.demo.tenants if tenant.id == tenant_id)
        async with self.server.client() as http:
            party = RelyingParty(
                http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0]
            )
            first = await party.sign_in(scope="openid offline_access")
            refreshed = await party.refresh(first.refresh_token)
            assert refreshed.status == 200, refreshed.body
