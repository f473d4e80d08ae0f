"""Two tenants and the control plane, under https, with the same client ids: modules are run against all at once."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert, select

from core.ids import digest, new_id, new_secret
from core.settings import Settings
from core.tenants import Tenant
from entrypoints import demo as demos
from entrypoints.asgi import create_app
from entrypoints.commands import make_control_plane
from entrypoints.demo_content import Demo
from tenant_runtime import models
from tests.conformance.op import CALLBACK, CALLBACK_WITH_QUERY, LOGGED_OUT, Client, Op
from tests.conftest import serving, settings_for
from tests.installation import Installation

ONE = "control_plane"
TENANTS = ("acme", "globex", ONE)
Module = Callable[[Op], Awaitable[None]]
PROFILE = {
    "app_type": "regular_web",
    "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": ["authorization_code", "refresh_token"],
    "callbacks": [CALLBACK],
    "allowed_logout_urls": [LOGGED_OUT],
    "require_pkce": False,
}
CLIENTS: dict[str, dict[str, Any]] = {
    "first": PROFILE,
    "second": PROFILE,
    "post": {**PROFILE, "token_endpoint_auth_method": "client_secret_post"},
    "two_addresses": {**PROFILE, "callbacks": [CALLBACK, CALLBACK_WITH_QUERY]},
}


class Suite:
    """Makes the tenants' views; each call is as many new browsers."""

    def __init__(self, installation: Installation, clients: dict[str, dict[str, Client]]) -> None:
        self.installation = installation
        self._clients = clients

    def add(self, tenant_id: str, name: str, client: Client) -> None:
        self._clients[tenant_id][name] = client

    async def run(self, module: Module, *, response_mode: str | None = None) -> None:
        async with AsyncExitStack() as stack:
            together = asyncio.Barrier(len(TENANTS))
            ops = [await self._op(stack, tenant_id, together, response_mode) for tenant_id in TENANTS]
            assert [op.client.client_id for op in ops] == [ops[0].client.client_id] * len(ops)
            assert len({op.client.secret for op in ops}) == len(ops)
            await asyncio.gather(*(module(op) for op in ops))

    async def _op(
        self, stack: AsyncExitStack, tenant_id: str, together: asyncio.Barrier, response_mode: str | None
    ) -> Op:
        transport = httpx.ASGITransport(app=self.installation.app)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, timeout=30))
        demo = self.installation.demo
        place = demo.control_plane if tenant_id == ONE else self.installation.tenant(tenant_id)
        op = Op(
            place.issuer,
            http,
            place.users[0],
            self.installation.clock,
            self._clients[tenant_id],
            together,
            response_mode,
        )
        return await op.configured()


@pytest.fixture(scope="package")
def secure(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings, Demo]:
    """The demo under https, made once."""
    folder = tmp_path_factory.mktemp("conformance") / "golden"
    settings = settings_for(folder, public_url="https://id.example.com", base_domain="id.example.com")
    return folder, settings, asyncio.run(_make(settings))


async def _make(settings: Settings) -> Demo:
    plane = await make_control_plane(settings)
    app = create_app(settings)
    async with app.lifespan():
        return await demos.make(app, settings, plane)


@pytest.fixture(scope="module")
async def suite(
    secure: tuple[Path, Settings, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Suite]:
    async with copied_suite(secure, tmp_path_factory.mktemp("suite")) as suite:
        yield suite


@asynccontextmanager
async def copied_suite(secure: tuple[Path, Settings, Demo], folder: Path) -> AsyncIterator[Suite]:
    golden, settings, demo = secure
    copy = folder / "data"
    shutil.copytree(golden, copy)
    chosen = replace(settings, data_dir=copy, sealing_key_file=Path("sealing.key"))
    async with serving(chosen, demo) as installation:
        yield Suite(installation, await twins(installation, CLIENTS))


async def twins(
    installation: Installation, bodies: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Client]]:
    """Clients made at the first tenant, and again at the others under the same ids, each with a secret of its own."""
    api = await installation.manager(TENANTS[0])
    made: dict[str, dict[str, Client]] = {tenant_id: {} for tenant_id in TENANTS}
    directory = installation.running.platform.directory
    first, *others = [await directory.by_id(tenant_id) for tenant_id in TENANTS]
    assert first is not None
    for name, body in bodies.items():
        client = await api.post("/clients", {"name": f"Conformance {name}", **body})
        base = Client(
            client["client_id"], client.get("client_secret", ""), body["token_endpoint_auth_method"]
        )
        made[first.id][name] = base
        rows = await first.database.read(_rows_of, base.client_id)
        for other in others:
            assert other is not None
            secret = new_secret()
            await other.database.write(_copy, rows, other, secret)
            made[other.id][name] = replace(base, secret=secret)
    return made


def _rows_of(connection: Connection, client_id: str) -> dict[str, list[dict[str, Any]]]:
    wanted = (models.Client, models.ClientKey, models.ConnectionClient)
    return {
        model.__tablename__: [
            dict(row._mapping)
            for row in connection.execute(
                select(model.__table__).where(model.__table__.c.client_id == client_id)
            )
        ]
        for model in wanted
    }


def _copy(connection: Connection, rows: dict[str, list[dict[str, Any]]], tenant: Tenant, secret: str) -> None:
    (client,) = rows["clients"]
    connection.execute(insert(models.Client.__table__), client)
    for key in rows["client_keys"]:
        connection.execute(insert(models.ClientKey.__table__), {**key, "id": new_id("cred")})
    own = connection.execute(select(models.Connection.__table__.c.id)).scalars().first()
    for link in rows["connection_clients"][:1]:
        connection.execute(insert(models.ConnectionClient.__table__), {**link, "connection_id": own})
    if client["token_endpoint_auth_method"].startswith("client_secret"):
        secret_id = new_id("sec")
        sealed = tenant.data_key.seal(secret.encode(), "client_secrets", "sealed", secret_id)
        row = {"id": secret_id, "client_id": client["client_id"], "digest": digest(secret), "sealed": sealed}
        connection.execute(
            insert(models.ClientSecret.__table__),
            {**row, "created_at": client["created_at"], "expires_at": None},
        )
