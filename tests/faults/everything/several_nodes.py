"""Three machines, each with a line of its own to the registry, to the libSQL server and to PostgreSQL.

The registry is on a PostgreSQL server of its own, so that what harms it and what harms tenants are two faults.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from controlplane.registry.tenants import get_tenant
from core.database import DatabaseRef
from core.settings import Secret
from entrypoints.demo_content import DemoTenant, make_tenant
from entrypoints.network import Api
from migrations import previous
from provisioning.platform import Platform, open_platform
from tests.engines.postgres import Postgres
from tests.engines.proxy import Proxy
from tests.engines.sqld import Sqld
from tests.engines.tcp_proxy import TcpProxy
from tests.faults.everything.balanced import Workers
from tests.faults.servers import Server
from tests.migrations.older import make_older
from tests.nodes.clusters import Cluster, Node, cheap_settings
from tests.provisioning.installations import sql
from tests.waiting import until

ENGINES = ("libsql", "postgresql")


@dataclass(frozen=True, slots=True)
class Machine:
    """A node, and its ways to where tenants are; the one to the registry is `node.line`."""

    node: Node
    libsql: Proxy
    postgresql: TcpProxy

    def started(self, failing: str = "") -> Server:
        backups = self.node.data.parent.parent / "backups"
        return Server(
            self.node.data, failing, **self.node.variables(BACKUP_FOLDER=str(backups), MIGRATE="background")
        )

    def close(self) -> None:
        self.libsql.close()
        self.postgresql.close()


@dataclass(slots=True)
class Land:
    cluster: Cluster
    machines: list[Machine]
    tenants_postgres: Postgres

    @property
    def sqld(self) -> Sqld:
        return self.cluster.sqld

    @property
    def registry_postgres(self) -> Postgres:
        return self.cluster.postgres

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Workers]:
        workers = Workers()
        workers.servers = [machine.started() for machine in self.machines]
        try:
            for server in workers.servers:
                await server.ready()
            yield workers
        finally:
            for server in workers.servers:
                server.stop()

    @asynccontextmanager
    async def observed(self) -> AsyncIterator[Platform]:
        """Past the servers, by a machine whose lines nobody touches."""
        name = "observer"
        data = self.cluster.folder / name / "data"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "sealing.key").write_bytes((self.cluster.folder / "home" / "sealing.key").read_bytes())
        servers = data / "backends.toml"
        servers.write_text(_servers(self.sqld, self.sqld.url, self.tenants_postgres.url()))
        settings = cheap_settings(
            data,
            registry_url=Secret(self.registry_postgres.url(self.cluster.database)),
            node=name,
            backends_file=servers,
            default_backend="libsql",
            migrate="command",
        )
        platform = await open_platform(settings)
        try:
            yield platform
        finally:
            await platform.close()

    async def filled(self, names: list[str]) -> list[DemoTenant]:
        """Each with the demo's content, on one engine or the other in turn."""
        made = await asyncio.gather(
            *(
                self._filled(machine, engine, names[number :: len(ENGINES)])
                for number, (engine, machine) in enumerate(zip(ENGINES, self.machines, strict=False))
            )
        )
        return [tenant for tenants in made for tenant in tenants]

    async def _filled(self, machine: Machine, engine: str, names: list[str]) -> list[DemoTenant]:
        tenants = []
        async with machine.node.serving(DEFAULT_BACKEND=engine) as server, server.client() as http:
            await self._first(http, engine)
            for name in names:
                operator = await self.cluster.operator(http)
                assert operator.token is not None
                platform = Api(http, self.cluster.plane, operator.token)
                issuer = f"http://{name}.localhost:8000/"
                tenants.append(await make_tenant(platform, http, operator.token, name, issuer))
        return tenants

    async def _first(self, http: httpx.AsyncClient, engine: str) -> None:
        """An engine's first tenant takes longer than its creator is kept waiting: there is a template to be made."""
        operator, tenant_id = await self.cluster.operator(http), f"first-{engine}"
        url = f"{self.cluster.plane}/tenants"
        assert (await operator.call("POST", url, {"id": tenant_id})).is_success

        async def is_active() -> bool:
            return bool((await operator.call("GET", f"{url}/{tenant_id}")).json()["state"] == "active")

        await until(is_active)

    async def made_older(self, tenant_ids: list[str]) -> None:
        """As the release before this one left them."""
        async with self.observed() as platform:
            for tenant_id in tenant_ids:
                copy = self.cluster.folder / f"{tenant_id}.older.db"
                ref = await snapshot(platform, tenant_id, copy)
                await asyncio.to_thread(make_older, copy)
                backend = platform.parts.backends[ref.kind]
                await asyncio.to_thread(backend.delete, ref)
                await asyncio.to_thread(backend.restore, ref, copy)
                await platform.registry.write(
                    sql(
                        f"UPDATE tenants SET schema_version = '{previous('tenant')}' WHERE id = '{tenant_id}'"
                    )
                )

    def close(self) -> None:
        for machine in self.machines:
            machine.close()
        self.cluster.close()


async def make_land(folder: Path, cluster: Cluster, tenants_postgres: Postgres) -> Land:
    machines = []
    for name in ("north", "east", "south"):
        libsql, postgresql = Proxy(cluster.sqld.port), TcpProxy(tenants_postgres.port)
        address = tenants_postgres.url().replace(f":{tenants_postgres.port}/", f":{postgresql.port}/")
        servers = folder / f"{name}.toml"
        servers.write_text(_servers(cluster.sqld, libsql.url, address))
        machines.append(Machine(replace(cluster.node(name), backends=servers), libsql, postgresql))
    return Land(cluster, machines, tenants_postgres)


async def snapshot(platform: Platform, tenant_id: str, file: Path) -> DatabaseRef:
    """All rows of a tenant as a SQLite file, whatever it lives on; and where that is."""
    record = await platform.registry.read(get_tenant, tenant_id)
    ref = platform.parts.ref(record)
    await asyncio.to_thread(platform.parts.backends[record.backend].snapshot, ref, file)
    return ref


def _servers(sqld: Sqld, libsql_url: str, postgresql_url: str) -> str:
    return (
        f'[libsql]\nurl = "{libsql_url}"\nadmin_url = "{sqld.admin_url}"\nadmin_key = "{sqld.admin_key}"\n'
        f'[postgresql]\nurl = "{postgresql_url}"\n'
    )
