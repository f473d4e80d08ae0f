"""Several machines: servers with a data folder each, one registry on PostgreSQL, tenants behind a libSQL server.

Every server reaches the registry through a proxy of its own, so a test may cut one machine off and leave the others.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.settings import Secret, Settings
from entrypoints import demo as demos
from entrypoints.asgi import create_app
from entrypoints.commands import make_control_plane
from entrypoints.demo_content import Demo, DemoTenant
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.engines.tcp_proxy import TcpProxy
from tests.faults.servers import Server
from tests.operators import Caller, machine_token
from tests.relying_party import RelyingParty


@dataclass(frozen=True, slots=True)
class Node:
    """One machine: what it has on its disk, and its line to the registry. Nobody serves it until a test says so."""

    name: str
    data: Path
    line: TcpProxy
    registry_url: str
    backends: Path

    def variables(self, **more: str) -> dict[str, Any]:
        """As `KEYSTEAD_*`."""
        return {
            "REGISTRY_URL": self.registry_url,
            "NODE": self.name,
            "BACKENDS_FILE": str(self.backends),
            "DEFAULT_BACKEND": "libsql",
            "PATIENCE_SECONDS": "1",
            **more,
        }

    @asynccontextmanager
    async def serving(self, failing: str = "", **more: str) -> AsyncIterator[Server]:
        server = Server(self.data, failing, **self.variables(**more))
        try:
            await server.ready()
            yield server
        finally:
            server.stop()


@dataclass(slots=True)
class Cluster:
    """An installation that several nodes share, with the demo in it."""

    postgres: Postgres
    sqld: Sqld
    folder: Path
    demo: Demo
    database: str
    nodes: list[Node] = field(default_factory=list)

    def node(self, name: str) -> Node:
        """A machine that joins: all it is given is the address of the registry, and the sealing key."""
        data = self.folder / name / "data"
        data.mkdir(mode=0o700, parents=True)
        (data / "sealing.key").write_bytes((self.folder / "home" / "sealing.key").read_bytes())
        line = TcpProxy(self.postgres.port)
        url = self.postgres.url(self.database).replace(f":{self.postgres.port}/", f":{line.port}/")
        self.nodes.append(Node(name, data, line, url, self.folder / "backends.toml"))
        return self.nodes[-1]

    def registry(self, sql: str) -> list[list[str]]:
        return self.postgres.query(sql, database=self.database)

    @property
    def plane(self) -> str:
        return f"{self.demo.control_plane.issuer}api/v2"

    def tenant(self, tenant_id: str) -> DemoTenant:
        return next(tenant for tenant in self.demo.tenants if tenant.id == tenant_id)

    def party(self, tenant_id: str, http: httpx.AsyncClient) -> RelyingParty:
        tenant = self.tenant(tenant_id)
        return RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0])

    async def operator(self, http: httpx.AsyncClient) -> Caller:
        plane = self.demo.control_plane
        token = await machine_token(http, plane.issuer, plane.clients["m2m"], plane.management_audience)
        return Caller(http, token)

    async def manager(self, tenant_id: str, http: httpx.AsyncClient) -> Caller:
        tenant = self.tenant(tenant_id)
        token = await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
        return Caller(http, token)

    def close(self) -> None:
        for node in self.nodes:
            node.line.close()


def backends_file(folder: Path, sqld: Sqld, postgres: Postgres) -> Path:
    path = folder / "backends.toml"
    path.write_text(
        f'[libsql]\nurl = "{sqld.url}"\nadmin_url = "{sqld.admin_url}"\nadmin_key = "{sqld.admin_key}"\n'
        f'[postgresql]\nurl = "{postgres.url()}"\n'
    )
    return path


async def make_cluster(folder: Path, postgres: Postgres, sqld: Sqld) -> Cluster:
    """The demo, made on a machine that is not heard of again: what it knew, the others must know."""
    database = f"registry_{secrets.token_hex(6)}"
    postgres.query(f"CREATE DATABASE {database}")
    settings = cheap_settings(
        folder / "home",
        registry_url=Secret(postgres.url(database)),
        node="home",
        backends_file=backends_file(folder, sqld, postgres),
        default_backend="libsql",
    )
    plane = await make_control_plane(settings)
    app = create_app(settings)
    async with app.lifespan():
        demo = await demos.make(app, settings, plane)
    return Cluster(postgres, sqld, folder, demo, database)


def cheap_settings(data_dir: Path, **values: Any) -> Settings:
    fast = {"password_memory_kib": 256, "password_iterations": 1, "spare_keys": 0, "patience_seconds": 1.0}
    return Settings(data_dir=data_dir, **{**fast, **values})
