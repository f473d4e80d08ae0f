"""Two tenants on real SQLite files behind the tenant runtime's own routes, for tests of the browser side."""

import hashlib
import json
import secrets
import shutil
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from sqlalchemy import Connection, create_engine, insert, text

from core.crypto.keys import SigningKey
from core.crypto.keystock import KeyStock
from core.crypto.passwords import PasswordHasher
from core.crypto.sealing import DataKey, new_data_key
from core.database import DatabaseRef, Databases
from core.ids import digest, new_client_id, new_id, new_secret, new_user_id
from core.outbound import Outbound
from core.settings import Settings
from core.tenants import Tenant, TenantState
from entrypoints.browser import Browser
from migrations import upgrade
from tenant_runtime import models
from tenant_runtime.app import tenant_app
from tenant_runtime.audit import AuditLog
from tenant_runtime.deliveries import Deliveries
from tenant_runtime.dependencies import Services
from tenant_runtime.mail.mailers import Mailers
from tests.engines.carried import Carry, carrying, kinds

NAMES = ("acme", "globex", "secure")
NOW = 1_800_000_000.0
CALLBACK = "https://app.example.com/callback"
SIGNED_OUT = "https://app.example.com/signed-out"
API = "https://api.example.com/"
KEY = SigningKey.generate("RS256")
VERIFIER = "a" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class MovableClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += seconds


@dataclass(slots=True)
class Place:
    """One tenant and how to put rows into it."""

    tenant: Tenant
    clock: MovableClock
    passwords: PasswordHasher
    signing: SigningKey

    @property
    def origin(self) -> str:
        return self.tenant.origin

    async def insert(self, model: Any, **values: Any) -> None:
        await self.tenant.database.write(_insert, model.__table__, values)

    async def run(self, statement: str, **values: Any) -> list[Any]:
        return await self.tenant.database.write(_run, statement, values)

    async def make_client(self, **values: Any) -> str:
        client_id = new_client_id()
        await self.insert(models.Client, **_client(client_id, self.ms) | values)
        return client_id

    async def make_user(
        self, email: str = "ada@example.com", password: str = "correct horse", **values: Any
    ) -> str:
        user_id = new_user_id("auth0")
        now = self.ms
        row = {
            "user_id": user_id, "email": email, "name": email, "email_verified": True, "phone_verified": False,
            "profile": {}, "user_metadata": {}, "app_metadata": {}, "blocked": False, "created_at": now,
            "updated_at": now, "sessions_valid_from": 0, "logins_count": 0,
        }  # fmt: skip
        await self.insert(models.User, **row | values)
        await self.insert(
            models.Identity, connection_id="con_users", provider_user_id=user_id[6:], user_id=user_id,
            provider="auth0", is_social=False, email=email, profile_data={},
        )  # fmt: skip
        await self.insert(
            models.Password, user_id=user_id, hash=await self.passwords.hash(password), changed_at=now,
            failures=0, blocked_until=0,
        )  # fmt: skip
        return user_id

    async def make_organization(self, name: str, *members: str, **values: Any) -> str:
        organization_id = new_id("org")
        await self.insert(
            models.Organization, id=organization_id, name=name, metadata={}, created_at=self.ms, updated_at=self.ms,
            **{"display_name": None, "branding": {}} | values,
        )  # fmt: skip
        for user_id in members:
            await self.insert(
                models.Membership, id=new_id("mem"), organization_id=organization_id, user_id=user_id,
                created_at=self.ms,
            )  # fmt: skip
        return organization_id

    async def set(self, key: str, value: Any) -> None:
        await self.run("DELETE FROM settings WHERE key = :key AND source = 'tenant'", key=key)
        await self.insert(models.Setting, key=key, source="tenant", value=value)

    @property
    def ms(self) -> int:
        return int(self.clock.now() * 1000)


def _insert(connection: Connection, table: Any, values: dict[str, Any]) -> None:
    connection.execute(insert(table), values)


def _run(connection: Connection, statement: str, values: dict[str, Any]) -> list[Any]:
    result = connection.execute(text(statement), values)
    return list(result.all()) if result.returns_rows else [result.rowcount]


def _client(client_id: str, now: int) -> dict[str, Any]:
    return {
        "client_id": client_id, "name": "Shop", "app_type": "spa", "is_first_party": True, "is_global": False,
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
        "callbacks": [CALLBACK], "allowed_logout_urls": [SIGNED_OUT], "web_origins": ["https://app.example.com"],
        "allowed_origins": [], "organization_usage": "allow", "organization_require_behavior": "no_prompt",
        "require_pkce": True, "jwt_configuration": {}, "refresh_token": {}, "client_metadata": {},
        "attributes": {}, "created_at": now, "updated_at": now,
    }  # fmt: skip


@dataclass(slots=True)
class World:
    acme: Place
    globex: Place
    secure: Place  # on https
    app: Any
    clock: MovableClock
    services: Services
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def http(self, place: Place | None = None, **headers: str) -> httpx.AsyncClient:
        origin = (place or self.acme).origin
        made = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=origin, headers=headers)
        self.clients.append(made)
        return made

    def visitor(self, client_id: str, place: Place | None = None) -> "Visitor":
        return Visitor(self, place or self.acme, client_id)


class Visitor:
    """A browser with a person in front of it, sent here by one client."""

    def __init__(self, world: World, place: Place, client_id: str) -> None:
        self.world, self.place, self.client_id = world, place, client_id
        self.http = world.http(place)
        self.browser = Browser(
            self.http, stops=("https://app.example.com", "com.example.app:", "http://127.0.0.1")
        )

    def parameters(self, **changes: str | None) -> dict[str, str]:
        wanted: dict[str, str | None] = {
            "client_id": self.client_id, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid",
            "state": "s t&te", "nonce": "n-1", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        return {name: value for name, value in (wanted | changes).items() if value is not None}

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """One request, not followed."""
        return await self.http.get("/authorize", params=self.parameters(**changes))

    async def open(self, **changes: str | None) -> httpx.Response:
        return await self.browser.open("/authorize", **self.parameters(**changes))

    async def log_in(
        self, email: str = "ada@example.com", password: str = "correct horse", **changes: str | None
    ) -> dict[str, str]:
        await self.open(**changes)
        await self.browser.submit({"email": email})
        await self.browser.submit({"password": password})
        return self.browser.parameters() if self.browser.landed else {}

    async def silent(self, **changes: str | None) -> dict[str, str]:
        return answer_of(await self.authorize(**{"prompt": "none"} | changes))

    async def redeem(self, code: str, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
            "client_id": self.client_id, "code_verifier": VERIFIER,
        }  # fmt: skip
        return await self.http.post("/oauth/token", data=form | changes)

    def session(self) -> str | None:
        return self.http.cookies.get("keystead_session")


def answer_of(response: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect carries."""
    assert response.status_code in (302, 303), response.text
    parts = urlsplit(response.headers["location"])
    return dict(parse_qsl(parts.query or parts.fragment, keep_blank_values=True))


def claims_of(token: str) -> dict[str, Any]:
    import base64

    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def template(path: Path) -> Path:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, "tenant")
    engine.dispose()
    return path


async def _place(
    databases: Databases,
    folder: Path,
    made: Path,
    tenant_id: str,
    clock: MovableClock,
    passwords: PasswordHasher,
    carry: Carry,
) -> Place:
    path, incarnation = folder / f"{tenant_id}.db", secrets.token_hex(8)
    shutil.copy(made, path)
    engine = create_engine(f"sqlite:///{path}")
    data_key = DataKey(tenant_id, new_data_key())
    signing = SigningKey.generate("RS256") if tenant_id == "globex" else KEY
    issuer = "https://id.example.com/" if tenant_id == "secure" else f"http://{tenant_id}.localhost:8000/"
    with engine.begin() as connection:
        _first_rows(connection, tenant_id, issuer, incarnation, data_key, signing, int(clock.now() * 1000))
    engine.dispose()
    tenant = Tenant(
        id=tenant_id, state=TenantState.ACTIVE, issuer=issuer, issuers=frozenset({issuer}), primary_issuer=issuer,
        display_name=tenant_id.title(), organization_id=None, control_plane_issuers=frozenset(),
        is_control_plane=False, incarnation=incarnation,
        database=databases.open(carry(DatabaseRef(path=path, owner=tenant_id, incarnation=incarnation))),
        data_key=data_key, shared_key=DataKey("shared by all", bytes(32)),
    )  # fmt: skip
    return Place(tenant, clock, passwords, signing)


def _first_rows(
    connection: Connection,
    tenant_id: str,
    issuer: str,
    incarnation: str,
    data_key: DataKey,
    signing: SigningKey,
    now: int,
) -> None:
    def put(model: Any, **values: Any) -> None:
        connection.execute(insert(model.__table__), values)

    put(models.TenantRow, id=tenant_id, incarnation=incarnation, config_version=1, converging=0, conflicts=[],
        dangling=[])  # fmt: skip
    put(models.SigningKeyRow, kid=signing.kid, alg="RS256", state="current", public_jwk=dict(signing.public_jwk),
        private_key=data_key.seal(signing.to_der(), "signing_keys", "private_key", signing.kid), created_at=now,
    )  # fmt: skip
    put(models.Connection, id="con_users", name="Users", strategy="auth0", options={}, metadata={},
        is_domain_connection=False, enabled_for_all_clients=True, is_system=False, created_at=now, updated_at=now,
    )  # fmt: skip
    for id, identifier, name in (
        ("rs_api", API, "Orders"),
        ("rs_management", f"{issuer}api/v2/", "Management"),
    ):
        put(models.ResourceServer, id=id, identifier=identifier, name=name, metadata={}, attributes={}, labels=[],
            allow_offline_access=True, is_management=id == "rs_management", is_system=False, created_at=now,
            updated_at=now,
        )  # fmt: skip
    put(models.Scope, resource_server_id="rs_api", value="read:orders", description="Read your orders", position=0,
        is_platform=False)  # fmt: skip


@asynccontextmanager
async def world(folder: Path, made: Path, *, allowed: Collection[str] = ()) -> AsyncIterator[World]:
    """`allowed`: `host:port` of servers of the test that may be called."""
    clock = MovableClock()
    stack = AsyncExitStack()
    carry = await stack.enter_async_context(carrying())
    databases = await stack.enter_async_context(Databases(folder, kinds=kinds()))
    passwords = PasswordHasher(memory_kib=64, iterations=1, threads=2)
    services = Services(
        settings=Settings(data_dir=folder),
        clock=clock,
        passwords=passwords,
        keys=KeyStock(0),
        audit=AuditLog(clock),
        outbound=Outbound(allowed),
        deliveries=Deliveries(clock, {}),
        jobs=Deliveries(clock, {}),
        mail=Mailers(Outbound(), clock),
    )
    places = [await _place(databases, folder, made, name, clock, passwords, carry) for name in NAMES]
    built = World(*places, _edge(services, places), clock, services)
    yield built
    for client in built.clients:
        await client.aclose()
    await services.audit.flush()
    await services.outbound.close()
    passwords.close()
    await stack.aclose()


def _edge(services: Services, places: list[Place]) -> Callable[..., Any]:
    async def edge(scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope["headers"])[b"host"].decode()
        place = next(place for place in places if place.origin.partition("//")[2] == host)
        scope["state"] = {
            "tenant": place.tenant, "services": services, "request_id": new_secret(6), "client_ip": "192.0.2.1",
        }  # fmt: skip
        await tenant_app()(scope, receive, send)

    return edge


__all__ = ["API", "CALLBACK", "SIGNED_OUT", "Visitor", "World", "answer_of", "claims_of", "digest", "world"]
