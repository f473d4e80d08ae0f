"""What is changed on one node is so on every node: at once, and without a notification within a second."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from tests.faults.servers import Server
from tests.nodes.clusters import Cluster
from tests.operators import Caller
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]


@dataclass(frozen=True)
class Pair:
    """Two nodes that serve, a client for each, and the operator's hands on the first."""

    cluster: Cluster
    servers: tuple[Server, Server]
    here: httpx.AsyncClient
    there: httpx.AsyncClient
    operator: Caller

    async def discovery(self, http: httpx.AsyncClient, tenant_id: str) -> httpx.Response:
        return await http.get(f"http://{tenant_id}.localhost:8000/.well-known/openid-configuration")

    async def made(self, tenant_id: str, **values: str) -> None:
        body = {"id": tenant_id, **values}
        answer = await self.operator.call("POST", f"{self.cluster.plane}/tenants", body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "active", answer.text


@pytest.fixture(scope="module")
async def pair(cluster: Cluster) -> AsyncIterator[Pair]:
    first, second = cluster.node("a"), cluster.node("b")
    async with (
        first.serving() as a,
        second.serving() as b,
        a.client() as here,
        b.client() as there,
    ):
        yield Pair(cluster, (a, b), here, there, await cluster.operator(here))


@pytest.mark.parametrize("backend", ["libsql", "postgresql"])
async def test_a_tenant_made_on_one_node_serves_on_the_other(pair: Pair, backend: str) -> None:
    tenant_id = f"on-{backend}"
    assert (await pair.discovery(pair.there, tenant_id)).status_code == 404
    await pair.made(tenant_id, backend=backend)

    async def serves() -> bool:
        return (await pair.discovery(pair.there, tenant_id)).status_code == 200

    await until(serves)
    keys = f"http://{tenant_id}.localhost:8000/.well-known/jwks.json"
    assert (await pair.there.get(keys)).json() == (await pair.here.get(keys)).json()


async def test_a_suspension_on_one_node_keeps_people_out_on_the_other(pair: Pair) -> None:
    rp = pair.cluster.party("globex", pair.there)
    tokens = await rp.redeem(await rp.code())
    assert (await pair.operator.call("POST", f"{pair.cluster.plane}/tenants/globex/suspend")).is_success

    async def is_kept_out() -> bool:
        return (await rp.refresh(tokens.refresh_token)).error == "access_denied"

    await until(is_kept_out)
    assert (await pair.operator.call("POST", f"{pair.cluster.plane}/tenants/globex/resume")).is_success

    async def may_enter() -> bool:
        return (await rp.refresh(tokens.refresh_token)).status == 200

    await until(may_enter)


async def test_a_role_of_the_catalogue_written_on_one_node_is_in_the_tenants_of_the_other(pair: Pair) -> None:
    name = f"Auditor {secrets.token_hex(4)}"
    made = await pair.operator.call("POST", f"{pair.cluster.plane}/roles", {"name": name})
    assert made.status_code in (200, 201), made.text
    manager = await pair.cluster.manager("initech", pair.there)

    async def has_it() -> bool:
        answer = await manager.call(
            "GET", f"{pair.cluster.tenant('initech').issuer}api/v2/roles", per_page=100
        )
        return answer.is_success and name in {role["name"] for role in answer.json()}

    await until(has_it)


async def test_a_key_rotated_on_one_node_is_published_by_the_other(pair: Pair) -> None:
    issuer = pair.cluster.tenant("acme").issuer

    async def kids(http: httpx.AsyncClient) -> set[str]:
        keys = (await http.get(f"{issuer}.well-known/jwks.json")).json()["keys"]
        return {key["kid"] for key in keys}

    before = await kids(pair.there)
    manager = await pair.cluster.manager("acme", pair.here)
    rotated = await manager.call("POST", f"{issuer}api/v2/keys/signing/rotate")
    assert rotated.is_success, rotated.text

    async def is_published() -> bool:
        return len(await kids(pair.there) - before) == 1

    await until(is_published)
    assert await kids(pair.there) == await kids(pair.here)


async def test_without_notifications_asking_each_second_does(pair: Pair) -> None:
    """A pooler in between, or a listener that is cut off: nothing is told, and it is found all the same."""
    pair.cluster.registry("DROP TRIGGER installation_directory_version ON installation")
    try:
        await pair.made("unannounced")

        async def serves() -> bool:
            return (await pair.discovery(pair.there, "unannounced")).status_code == 200

        await until(serves)
        await pair.operator.call("DELETE", f"{pair.cluster.plane}/tenants/unannounced")

        async def is_gone() -> bool:
            return (await pair.discovery(pair.there, "unannounced")).status_code == 404

        await until(is_gone)
    finally:
        pair.cluster.registry(
            "CREATE TRIGGER installation_directory_version AFTER UPDATE OF directory_version ON installation"
            " FOR EACH ROW EXECUTE FUNCTION installation_directory_version()"
        )


async def test_the_nodes_know_of_each_other(pair: Pair) -> None:
    answer = await pair.operator.call("GET", f"{pair.cluster.plane}/fleet")
    nodes = {node["name"]: node for node in answer.json()["nodes"]}
    assert {"a", "b"} <= nodes.keys()
    assert nodes["a"]["alive"]
    assert nodes["b"]["alive"]
