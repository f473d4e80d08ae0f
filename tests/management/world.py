"""Tenants made by hand, and the Management API before them: tenant one and two children, with tokens of each.

Tokens are signed with the tenants' own keys, as the token endpoint does; everything else goes through HTTP.
"""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, create_engine, insert, select

import migrations
from core.crypto import jwt
from core.crypto.keys import PublicKeys, SigningKey
from core.crypto.keystock import KeyStock
from core.crypto.passwords import PasswordHasher
from core.crypto.sealing import DataKey, new_data_key
from core.database import DatabaseRef, Databases
from core.outbound import Outbound
from core.settings import Settings
from core.tenants import Tenant, TenantState
from provisioning.first_rows import DEFAULT_CLIENT, prepare, put_first_rows
from tenant_runtime import models
from tenant_runtime.app import tenant_app
from tenant_runtime.audit import AuditLog
from tenant_runtime.deliveries import Deliveries
from tenant_runtime.dependencies import Services
from tenant_runtime.mail.mailers import Mailers
from tenant_runtime.management.permissions import PLATFORM, TENANT
from tests import schema
from tests.engines.carried import Carry, carrying, kinds

START = 1_800_000_000.0
CONTROL_PLANE = "http://localhost:8000/"
ISSUERS = {
    "one": CONTROL_PLANE,
    "acme": "http://acme.localhost:8000/",
    "globex": "http://globex.localhost:8000/",
}
ORGANIZATIONS = {"acme": "org_acmeacmeacmeacme", "globex": "org_globexglobexglob"}
EVERYTHING = frozenset(TENANT)
PLATFORM_TOO = EVERYTHING | frozenset(PLATFORM)


@dataclass
class HandClock:
    time: float = START

    def now(self) -> float:
        return self.time


@dataclass
class Lifecycle:
    """The worker's side of `wait=sync`: how many tenants still lag is the test's to say."""

    lagging: int = 0
    waits: int = 0

    async def wait_synced(self) -> int:
        self.waits += 1
        return self.lagging


def migrated_file(path: Path) -> Path:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.upgrade(connection, "tenant", to=schema.TO)
    engine.dispose()
    return path


@dataclass
class Api:
    """One caller of one tenant's API."""

    http: httpx.AsyncClient
    token: str | None

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            options["json"] = body
        return await self.http.request(method, f"/api/v2{path}", headers=headers, **options)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self("GET", path, params=query or None)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self("POST", path, body, **options)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self("PATCH", path, body)

    async def delete(self, path: str, body: Any = None) -> httpx.Response:
        return await self("DELETE", path, body)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        response = await self.post(path, body)
        assert response.status_code in (200, 201), response.text
        value: dict[str, Any] = response.json()
        return value


@dataclass
class Place:
    """One tenant: its handle, its key, its API."""

    tenant: Tenant
    key: SigningKey
    http: httpx.AsyncClient
    machine: str  # a client that stands, whose tokens these tests make
    world: "World" = field(repr=False)

    def sign(self, claims: Mapping[str, Any], *, typ: str = "at+jwt") -> str:
        return jwt.sign(claims, self.key, typ=typ)

    def claims(self, permissions: frozenset[str] | set[str] = EVERYTHING, /, **more: Any) -> dict[str, Any]:
        now = int(self.world.clock.now())
        claims = {
            "iss": self.tenant.issuer,
            "sub": f"{self.machine}@clients",
            "aud": self.tenant.management_audience,
            "iat": now,
            "exp": now + 3600,
            "jti": "fam_test.1",
            "client_id": self.machine,
            "azp": self.machine,
            "gty": "client-credentials",
            "scope": " ".join(sorted(permissions)),
        }
        return {name: value for name, value in {**claims, **more}.items() if value is not None}

    def token(self, permissions: frozenset[str] | set[str] = EVERYTHING, /, **more: Any) -> str:
        return self.sign(self.claims(permissions, **more))

    def api(self, *permissions: str, **more: Any) -> Api:
        """As a machine of this tenant, with every permission of a tenant unless some are named."""
        return Api(self.http, self.token(frozenset(permissions) or EVERYTHING, **more))

    def api_of(self, user_id: str, *permissions: str, **more: Any) -> Api:
        """As one of this tenant's people."""
        return self.api(*permissions, sub=user_id, gty=None, **more)

    def with_token(self, token: str | None) -> Api:
        return Api(self.http, token)

    async def add(self, model: type[models.TenantBase], *, converge: bool = False, **values: Any) -> None:
        now = int(self.world.clock.now() * 1000)
        times = {name: now for name in ("created_at", "updated_at") if name in model.__table__.c}
        await self.tenant.database.alone(_insert, model.__table__, times | values, converge=converge)

    async def rows(self, model: type[models.TenantBase], **where: Any) -> list[Any]:
        return await self.tenant.database.read(_rows, model.__table__, where)

    async def events(self) -> list[Any]:
        await self.world.services.audit.flush()
        return await self.rows(models.LogEvent)


@dataclass
class World:
    clock: HandClock
    services: Services
    lifecycle: Lifecycle
    wakes: list[int]
    one: Place = field(init=False)
    acme: Place = field(init=False)
    globex: Place = field(init=False)


def _insert(connection: Connection, table: Any, values: dict[str, Any]) -> None:
    connection.execute(insert(table), values)


def _rows(connection: Connection, table: Any, where: dict[str, Any]) -> list[Any]:
    statement = select(table).where(*(table.c[name] == value for name, value in where.items()))
    return list(connection.execute(statement).all())


class Standing:
    """Tenant one's word for its operators: these tests make tokens of people who live nowhere."""

    async def organization_ids(self, user_id: str) -> list[str]:
        return []

    async def is_verified(self, user_id: str) -> bool:
        return True

    async def record(
        self, subject: str, description: str, details: Mapping[str, Any], now: int, request_id: str
    ) -> None:
        pass

    async def still_stand(
        self, subject: str, issued_at: float, jti: str | None, consent: str, organization_id: str | None
    ) -> bool:
        return True


def _fill(connection: Connection, tenant: Tenant, key: SigningKey) -> str:
    first = prepare(
        tenant.data_key,
        key,
        management_audience=tenant.management_audience,
        now=int(START * 1000),
        is_control_plane=tenant.is_control_plane,
    )
    put_first_rows(connection, first)
    clients = models.Client.__table__
    named = connection.execute(select(clients.c.client_id).where(clients.c.name == DEFAULT_CLIENT))
    return str(named.scalar_one())


def _tenant(name: str, folder: Path, schema: Path, databases: Databases, carry: Carry) -> Tenant:
    path = folder / f"{name}.db"
    shutil.copy(schema, path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        row = {"id": name, "incarnation": f"{name}-1", "conflicts": [], "dangling": []}
        connection.execute(insert(models.TenantRow.__table__), row)
    engine.dispose()
    return Tenant(
        id=name,
        state=TenantState.ACTIVE,
        issuer=ISSUERS[name],
        issuers=frozenset({ISSUERS[name]}),
        primary_issuer=ISSUERS[name],
        display_name=name.title(),
        organization_id=ORGANIZATIONS.get(name),
        control_plane_issuers=frozenset({CONTROL_PLANE}),
        is_control_plane=name == "one",
        incarnation=f"{name}-1",
        database=databases.open(carry(DatabaseRef(path=path, owner=name, incarnation=f"{name}-1"))),
        data_key=DataKey(name, new_data_key()),
        shared_key=DataKey("shared by all", bytes(32)),
    )


def _before(services: Services, tenant: Tenant) -> Any:
    """What the edge does: the request's tenant, found by its host."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {
            "tenant": tenant, "services": services, "request_id": "req1", "client_ip": "127.0.0.1",
        }  # fmt: skip
        await tenant_app()(scope, receive, send)

    return asgi


@asynccontextmanager
async def open_world(folder: Path, schema: Path, keys: Mapping[str, SigningKey]) -> AsyncIterator[World]:
    clock, lifecycle, wakes = HandClock(), Lifecycle(), list[int]()
    public = PublicKeys([keys["one"].public_jwk])

    async def control_plane_keys() -> PublicKeys:
        return public

    services = Services(
        settings=Settings(data_dir=folder, default_member_roles=("Tenant Member",)),
        clock=clock,
        passwords=PasswordHasher(memory_kib=64, iterations=1),
        keys=KeyStock(0),
        audit=AuditLog(clock),
        outbound=Outbound(),
        deliveries=Deliveries(clock, {}),
        jobs=Deliveries(clock, {}),
        mail=Mailers(Outbound(), clock),
        control_plane_keys=control_plane_keys,
        operators=Standing(),
        lifecycle=lifecycle,  # type: ignore[arg-type]
        on_control_plane_write=lambda: wakes.append(1),
    )
    world = World(clock, services, lifecycle, wakes)
    async with carrying() as carry, Databases(folder, kinds=kinds()) as databases:
        for name in ISSUERS:
            tenant = _tenant(name, folder, schema, databases, carry)
            machine = await tenant.database.alone(_fill, tenant, keys[name])
            transport = httpx.ASGITransport(app=_before(services, tenant))
            http = httpx.AsyncClient(transport=transport, base_url=tenant.origin)
            setattr(world, name, Place(tenant, keys[name], http, machine, world))
        yield world
        await services.audit.flush()
    services.passwords.close()
