"""A small installation for the tests of the token side: tenants made by hand, no login pages.

Codes are put where the authorization endpoint puts them; everything else goes through HTTP.
"""

import base64
import hashlib
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from sqlalchemy import Connection, Table, create_engine, insert, select, update

import migrations
from core.crypto.keys import SigningKey
from core.crypto.keystock import KeyStock
from core.crypto.passwords import PasswordHasher
from core.crypto.sealing import DataKey, new_data_key
from core.database import DatabaseRef, Databases
from core.ids import digest, new_id, new_secret
from core.outbound import Outbound
from core.settings import Settings
from core.tenants import Tenant, TenantState
from tenant_runtime import models
from tenant_runtime.app import tenant_app
from tenant_runtime.audit import AuditLog
from tenant_runtime.deliveries import Deliveries
from tenant_runtime.dependencies import Services
from tenant_runtime.mail.mailers import Mailers
from tests import schema
from tests.engines.carried import Carry, carrying, kinds

API = "https://api.example.com/"
OPEN_API = "https://open.example.com/"
CALLBACK = "https://app.example.com/callback"
SPA_ORIGIN = "https://spa.example.com"
VERIFIER = "v" * 64
START = 1_800_000_000.0


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    return _part(token, 1)


def header_of(token: str) -> dict[str, Any]:
    return _part(token, 0)


def _part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    value: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return value


@dataclass
class HandClock:
    time: float = START

    def now(self) -> float:
        return self.time


def migrated_file(path: Path) -> Path:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.upgrade(connection, "tenant", to=schema.TO)
    engine.dispose()
    return path


@dataclass
class Issuer:
    """One tenant, and how a test reaches it."""

    tenant: Tenant
    http: httpx.AsyncClient
    clock: HandClock
    audit: AuditLog
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    async def add(self, model: type[models.TenantBase], **values: Any) -> None:
        """A row, with defaults of the kind that do not matter to the test."""
        row = _defaults(model.__table__, self.now_ms) | values
        await self.tenant.database.alone(_insert, model.__table__, row)

    async def change(self, model: type[models.TenantBase], where: Mapping[str, Any], **values: Any) -> None:
        await self.tenant.database.write(_update, model.__table__, dict(where), values)

    async def remove(self, model: type[models.TenantBase], **where: Any) -> None:
        await self.tenant.database.write(_delete, model.__table__, where)

    async def rows(self, model: type[models.TenantBase], **where: Any) -> list[Any]:
        await self.audit.flush()
        return await self.tenant.database.read(_rows, model.__table__, where)

    async def events(self) -> list[str]:
        return [row.type for row in await self.rows(models.LogEvent)]

    async def code(self, client_id: str = "web", **values: Any) -> str:
        code = new_secret()
        row = {
            "digest": digest(code),
            "family_id": new_id("fam"),
            "issuer": self.tenant.issuer,
            "client_id": client_id,
            "user_id": "auth0|ann",
            "session_id": "sess_ann",
            "redirect_uri": CALLBACK,
            "redirect_uri_sent": True,
            "code_challenge": challenge(VERIFIER),
            "scope": "openid offline_access",
            "authenticated_at": self.now_ms - 1000,
            "created_at": self.now_ms,
            "expires_at": self.now_ms + 60_000,
            "amr": ["pwd"],
        }
        await self.add(models.AuthorizationCode, **(row | values))
        return code

    async def token(
        self, client_id: str | None = "web", *, headers: Mapping[str, str] | None = None, **form: str
    ) -> httpx.Response:
        """A request with the client's own way of authentication, unless `headers` brings another."""
        body = dict(form)
        if client_id is not None and headers is None:
            body.setdefault("client_id", client_id)
            if client_id in self.secrets:
                body.setdefault("client_secret", self.secrets[client_id])
        return await self.http.post("/oauth/token", data=body, headers=headers)

    async def redeem(self, code: str, client_id: str = "web", **form: str) -> httpx.Response:
        values = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER} | form
        sent = {name: value for name, value in values.items() if value}
        return await self.token(client_id, grant_type="authorization_code", code=code, **sent)

    async def refresh(self, token: str, client_id: str = "web", **form: str) -> httpx.Response:
        return await self.token(client_id, grant_type="refresh_token", refresh_token=token, **form)

    async def tokens(self, client_id: str = "web", **code: Any) -> dict[str, Any]:
        answer = await self.redeem(await self.code(client_id, **code), client_id)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def machine(self, client_id: str = "m2m", **form: str) -> httpx.Response:
        return await self.token(client_id, grant_type="client_credentials", **form)

    async def userinfo(self, token: str, **headers: str) -> httpx.Response:
        return await self.http.get("/userinfo", headers={"Authorization": f"Bearer {token}", **headers})

    async def revoke(self, token: str, client_id: str = "web", **form: str) -> httpx.Response:
        body = {"token": token, "client_id": client_id, **form}
        if client_id in self.secrets:
            body["client_secret"] = self.secrets[client_id]
        return await self.http.post("/oauth/revoke", data=body)


@dataclass
class Issuers:
    acme: Issuer
    globex: Issuer
    clock: HandClock
    services: Services


def _defaults(table: Table, now_ms: int) -> dict[str, Any]:
    """Columns that must have something: times are now, JSON is empty, flags are off."""
    values: dict[str, Any] = {}
    for column in table.c:
        if column.nullable or column.default is not None or column.primary_key:
            continue
        if column.name.endswith("_at"):
            values[column.name] = now_ms
    return values


def _insert(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    connection.execute(insert(table), row)


def _update(connection: Connection, table: Table, where: dict[str, Any], values: dict[str, Any]) -> None:
    connection.execute(update(table).where(*_conditions(table, where)).values(**values))


def _delete(connection: Connection, table: Table, where: dict[str, Any]) -> None:
    connection.execute(table.delete().where(*_conditions(table, where)))


def _rows(connection: Connection, table: Table, where: dict[str, Any]) -> list[Any]:
    return list(connection.execute(select(table).where(*_conditions(table, where))))


def _conditions(table: Table, where: Mapping[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in where.items()]


@dataclass(frozen=True)
class Golden:
    """Both tenants as every test finds them: made once, copied for each test."""

    folder: Path
    keys: Mapping[str, SigningKey]
    data_keys: Mapping[str, bytes]
    secrets: Mapping[str, dict[str, str]]


NAMES = ("acme", "globex")


async def make_golden(schema: Path, folder: Path, keys: Mapping[str, SigningKey]) -> Golden:
    empty = Golden(folder, keys, {name: new_data_key() for name in NAMES}, {name: {} for name in NAMES})
    for name in NAMES:
        _begin(name, schema, folder)
    async with _running(empty, folder, stays=True) as issuers:
        for issuer in (issuers.acme, issuers.globex):
            await _fill(issuer, keys[issuer.tenant.id])
        secrets = {issuer.tenant.id: issuer.secrets for issuer in (issuers.acme, issuers.globex)}
    return replace(empty, secrets=secrets)


@asynccontextmanager
async def open_issuers(golden: Golden, folder: Path) -> AsyncIterator[Issuers]:
    for name in NAMES:
        shutil.copyfile(golden.folder / f"{name}.db", folder / f"{name}.db")
    async with _running(golden, folder) as issuers:
        yield issuers


@asynccontextmanager
async def _running(golden: Golden, folder: Path, *, stays: bool = False) -> AsyncIterator[Issuers]:
    clock = HandClock()
    services = _services(folder, clock)
    async with (
        carrying(stays=stays) as carry,
        Databases(folder, synchronous="NORMAL", kinds=kinds()) as databases,
        AsyncExitStack() as stack,
    ):
        tenants = {name: _tenant(name, folder, databases, golden.data_keys[name], carry) for name in NAMES}
        app = _by_host(services, {f"{name}.example.com": tenants[name] for name in NAMES})
        issuers = {}
        for name, tenant in tenants.items():
            http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=tenant.origin)
            await stack.enter_async_context(http)
            issuers[name] = Issuer(tenant, http, clock, services.audit, dict(golden.secrets[name]))
        yield Issuers(issuers["acme"], issuers["globex"], clock, services)
        await services.audit.flush()


def _services(folder: Path, clock: HandClock) -> Services:
    return Services(
        settings=Settings(data_dir=folder),
        clock=clock,
        passwords=PasswordHasher(memory_kib=8, iterations=1),
        keys=KeyStock(0),
        audit=AuditLog(clock),
        outbound=Outbound(),
        deliveries=Deliveries(clock, {}),
        jobs=Deliveries(clock, {}),
        mail=Mailers(Outbound(), clock),
    )


@asynccontextmanager
async def second_worker(issuer: Issuer, services: Services) -> AsyncIterator[Issuer]:
    """Another process's view of the same tenant: lanes, snapshots and turns of its own over the same file."""
    ref = issuer.tenant.database.ref
    folder = services.settings.data_dir
    async with Databases(folder, synchronous="NORMAL", kinds=kinds()) as databases:
        tenant = replace(issuer.tenant, database=databases.open(ref))
        app = _by_host(services, {urlsplit(tenant.origin).netloc: tenant})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=tenant.origin) as http:
            yield replace(issuer, tenant=tenant, http=http)


def _begin(name: str, schema: Path, folder: Path) -> None:
    path = folder / f"{name}.db"
    shutil.copyfile(schema, path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(insert(models.TenantRow.__table__), {"id": name, "incarnation": f"{name}-1"})
    engine.dispose()


def _tenant(name: str, folder: Path, databases: Databases, data_key: bytes, carry: Carry) -> Tenant:
    ref = carry(DatabaseRef(path=folder / f"{name}.db", owner=name, incarnation=f"{name}-1"))
    issuer = f"https://{name}.example.com/"
    return Tenant(
        id=name,
        state=TenantState.ACTIVE,
        issuer=issuer,
        issuers=frozenset({issuer}),
        primary_issuer=issuer,
        display_name=name.title(),
        organization_id=None,
        control_plane_issuers=frozenset({"https://manage.example.com/"}),
        is_control_plane=False,
        incarnation=f"{name}-1",
        database=databases.open(ref),
        data_key=DataKey(name, data_key),
        shared_key=DataKey("shared by all", bytes(32)),
    )


def _by_host(services: Services, tenants: Mapping[str, Tenant]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope["headers"])[b"host"].decode()
        scope["state"] = {
            "tenant": tenants[host], "services": services, "request_id": "r-1", "client_ip": "192.0.2.1",
        }  # fmt: skip
        await tenant_app()(scope, receive, send)

    return app


# --- Rows ----------------------------------------------------------------------------------------------------------


async def _fill(issuer: Issuer, key: SigningKey) -> None:
    sealed = issuer.tenant.data_key.seal(key.to_der(), "signing_keys", "private_key", key.kid)
    await issuer.add(
        models.SigningKeyRow,
        kid=key.kid,
        alg=key.alg,
        state="current",
        public_jwk=dict(key.public_jwk),
        private_key=sealed,
    )
    await _add_apis(issuer)
    await _add_clients(issuer)
    await _add_people(issuer)


async def _add_apis(issuer: Issuer) -> None:
    apis = (
        ("api", API, {"enforce_policies": True, "token_dialect": "access_token_authz"}),
        ("open", OPEN_API, {}),
        (
            "management",
            issuer.tenant.management_audience,
            {"enforce_policies": True, "token_dialect": "access_token_authz", "is_management": True},
        ),
    )
    scopes = {"management": ("read:users", "read:tenants")}
    for name, identifier, values in apis:
        server = {
            "token_lifetime": 3600,
            "token_lifetime_for_web": 600,
            "allow_offline_access": True,
            **values,
        }
        await issuer.add(models.ResourceServer, id=name, identifier=identifier, name=name, **server)
        for place, value in enumerate(scopes.get(name, ("read:invoices", "write:invoices"))):
            await issuer.add(
                models.Scope,
                resource_server_id=name,
                value=value,
                position=place,
                is_platform=value == "read:tenants",
            )


CODE_GRANTS = ["authorization_code", "refresh_token"]


async def _add_clients(issuer: Issuer) -> None:
    clients: tuple[tuple[str, str, str, list[str]], ...] = (
        ("web", "regular_web", "client_secret_basic", [*CODE_GRANTS, "client_credentials"]),
        ("web2", "regular_web", "client_secret_post", CODE_GRANTS),
        ("spa", "spa", "none", CODE_GRANTS),
        ("m2m", "non_interactive", "client_secret_post", ["client_credentials"]),
    )
    for client_id, app_type, method, grant_types in clients:
        await add_client(
            issuer, client_id, app_type=app_type, token_endpoint_auth_method=method, grant_types=grant_types
        )
    await issuer.add(
        models.ClientGrant,
        id="cgr_api",
        client_id="m2m",
        audience=API,
        scope=["read:invoices", "write:invoices"],
        organization_usage="allow",
        allow_any_organization=True,
    )
    await issuer.add(
        models.ClientGrant,
        id="cgr_management",
        client_id="m2m",
        audience=issuer.tenant.management_audience,
        scope=["read:users", "read:tenants"],
        organization_usage="allow",
        allow_any_organization=True,
    )


async def add_client(issuer: Issuer, client_id: str, **values: Any) -> None:
    row = {
        "name": f"The {client_id} client",
        "app_type": "regular_web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": CODE_GRANTS,
        "callbacks": [CALLBACK],
        "web_origins": [f"{SPA_ORIGIN}/"] if client_id == "spa" else [],
    } | values
    await issuer.add(models.Client, client_id=client_id, **row)
    if row["token_endpoint_auth_method"] != "none":
        await add_secret(issuer, client_id)


async def add_secret(issuer: Issuer, client_id: str, **values: Any) -> str:
    secret = new_secret()
    issuer.secrets.setdefault(client_id, secret)
    await issuer.add(
        models.ClientSecret,
        id=new_id("sec"),
        client_id=client_id,
        digest=digest(secret),
        sealed=b"",
        **values,
    )
    return secret


async def _add_people(issuer: Issuer) -> None:
    await issuer.add(models.Role, id="rol_reader", name="Reader")
    await issuer.add(models.Role, id="rol_writer", name="Writer")
    for role, permission in (("rol_reader", "read:invoices"), ("rol_writer", "write:invoices")):
        await issuer.add(models.RolePermission, role_id=role, resource_server_id="api", permission=permission)
    for name in ("ann", "bob"):
        user_id = f"auth0|{name}"
        await issuer.add(
            models.User,
            user_id=user_id,
            email=f"{name}@example.com",
            email_verified=True,
            name=name.title(),
            nickname=name,
            profile={"zoneinfo": "Europe/Lisbon", "address": {"country": "PT"}, "secret_thing": "x"},
        )
        later = issuer.now_ms + 86_400_000
        await issuer.add(
            models.Session,
            id=f"sess_{name}",
            token_digest=digest(user_id),
            issuer=issuer.tenant.issuer,
            user_id=user_id,
            authenticated_at=issuer.now_ms - 1000,
            idle_expires_at=later,
            expires_at=later,
        )
    await issuer.add(models.UserRole, user_id="auth0|ann", role_id="rol_reader")
    for name, members in (("north", ("ann", "bob")), ("south", ("ann",)), ("west", ())):
        await issuer.add(models.Organization, id=f"org_{name}", name=name, display_name=name.title())
        for member in members:
            await issuer.add(
                models.Membership,
                id=f"mem_{name}_{member}",
                organization_id=f"org_{name}",
                user_id=f"auth0|{member}",
            )
    await issuer.add(models.MembershipRole, membership_id="mem_north_ann", role_id="rol_writer")
