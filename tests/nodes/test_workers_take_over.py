"""F22 and F24, and nodes that die in the middle: another takes over what was begun, and the first is not believed."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest

from controlplane.registry.nodes import NodeNameTaken
from controlplane.registry.operations import list_operations
from controlplane.registry.tenants import get_tenant
from core.crypto.keys import SigningKey
from core.settings import Secret
from core.tenants import NewTenant
from provisioning.converge import STEPS
from provisioning.operations import run_due
from provisioning.platform import Platform, SpareKeys, open_platform
from sync.catalogue import load_catalogue
from tests.faults.servers import Server
from tests.nodes.clusters import Cluster, Node, cheap_settings
from tests.provisioning.installations import sql
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]

PASSED = "UPDATE operations SET lease_expires_at = 1 WHERE tenant_id = '{}'"
"""What half a minute does."""
SOME = ("database", "organization")


@pytest.mark.parametrize("steps", [SOME, pytest.param(STEPS, marks=pytest.mark.long)], ids=["some", "all"])
async def test_killed_while_making_a_tenant_another_node_makes_it_whole(
    cluster: Cluster, steps: tuple[str, ...]
) -> None:
    """At the beginning of each step, each on a machine of its own that never comes back."""
    died = [name async for name in dying_while_making(cluster, steps)]
    async with cluster.node(f"heir-{len(steps)}").serving() as server, server.client() as http:
        operator = await cluster.operator(http)
        for tenant_id in died:
            assert cluster.registry(f"SELECT state FROM operations WHERE tenant_id = '{tenant_id}'") == [
                ["running"]
            ]
            cluster.registry(PASSED.format(tenant_id))
        for tenant_id in died:
            url = f"{cluster.plane}/tenants/{tenant_id}"

            async def is_active(url: str = url) -> bool:
                return (await operator.call("GET", url)).json()["state"] == "active"

            await until(is_active)
            document = await http.get(f"http://{tenant_id}.localhost:8000/.well-known/openid-configuration")
            assert document.status_code == 200
            found = await operator.call("GET", f"{cluster.plane}/organizations/name/{tenant_id}")
            assert found.status_code == 200


async def dying_while_making(cluster: Cluster, steps: tuple[str, ...]) -> AsyncIterator[str]:
    for step in steps:
        tenant_id = f"dies-{len(steps)}-{step.replace('_', '-')}"
        node = cluster.node(f"mortal-{tenant_id}")
        async with node.serving(f"provision.{step}.before=exit") as server, server.client() as http:
            operator = await cluster.operator(http)
            with suppress(httpx.TransportError):
                await operator.call("POST", f"{cluster.plane}/tenants", {"id": tenant_id})
            await server.ended()
        yield tenant_id


async def test_f24_a_node_that_slept_past_its_lease_is_refused(cluster: Cluster) -> None:
    """Another finished meanwhile, and the tenant was even suspended since."""
    async with AsyncExitStack() as stack:
        sleeper = await stack.enter_async_context(
            cluster.node("sleeper").serving("provision.organization.before=sleep:3")
        )
        other = await stack.enter_async_context(cluster.node("awake").serving())
        asleep = await stack.enter_async_context(sleeper.client())
        http = await stack.enter_async_context(other.client())
        operator = await cluster.operator(http)
        begun = asyncio.create_task(make(cluster, asleep, "slept-on"))
        await until(lambda: has_begun(cluster, "slept-on"))
        await until(lambda: stands_still(sleeper))
        sleeper.signal(signal.SIGSTOP)
        cluster.registry(PASSED.format("slept-on"))
        url = f"{cluster.plane}/tenants/slept-on"

        async def is_active() -> bool:
            return (await operator.call("GET", url)).json()["state"] == "active"

        await until(is_active)
        assert (await operator.call("POST", f"{url}/suspend")).is_success
        sleeper.signal(signal.SIGCONT)
        with suppress(httpx.TransportError):
            await begun
        await until(lambda: said(sleeper, "operation_taken_over"))
        assert (await operator.call("GET", url)).json()["state"] == "suspended"
        assert cluster.registry("SELECT state, fencing FROM operations WHERE tenant_id = 'slept-on'") == [
            ["succeeded", "2"]
        ]


async def make(cluster: Cluster, http: httpx.AsyncClient, tenant_id: str) -> None:
    operator = await cluster.operator(http)
    await operator.call("POST", f"{cluster.plane}/tenants", {"id": tenant_id})


async def has_begun(cluster: Cluster, tenant_id: str) -> bool:
    return bool(cluster.registry(f"SELECT id FROM operations WHERE tenant_id = '{tenant_id}'"))


async def stands_still(server: Server) -> bool:
    """It sleeps at its failpoint, and answers nobody meanwhile."""
    async with server.client() as http:
        try:
            await http.get("http://localhost:8000/ready", timeout=0.5)
        except httpx.TimeoutException:
            return True
    return False


async def said(server: Server, words: str) -> bool:
    return words in server.said()


async def test_f22_an_older_catalogue_of_a_slow_node_never_replaces_a_newer_one(cluster: Cluster) -> None:
    async with opened(cluster.node("slow")) as slow, opened(cluster.node("quick")) as quick:
        stale = await (await slow.parts.tenant_one()).snapshot(load_catalogue)
        name = f"Newest {secrets.token_hex(4)}"
        async with cluster.node("writer").serving() as server, server.client() as http:
            operator = await cluster.operator(http)
            assert (await operator.call("POST", f"{cluster.plane}/roles", {"name": name})).is_success
        await quick.worker.catch_up()
        acme = await slow.registry.read(
            sql("SELECT applied_version FROM sync_states WHERE tenant_id = 'acme'")
        )
        tenant = await slow.registry.read(get_tenant, "acme")
        await slow.parts.fleet.compare_and_record([tenant], stale)
        found = await slow.directory.by_id("acme")
        assert found is not None
        assert (name,) in await found.database.read(sql("SELECT name FROM roles"))
        again = await slow.registry.read(
            sql("SELECT applied_version FROM sync_states WHERE tenant_id = 'acme'")
        )
        assert again == acme


async def test_an_operation_on_a_file_of_another_machine_is_left_to_it(cluster: Cluster) -> None:
    """Also when its lease has run out: nobody else could do it."""
    async with opened(cluster.node("owner"), default_backend="sqlite") as owner:
        await owner.lifecycle.create(NewTenant(id="on-a-file", display_name="On a file"))
        undone = "UPDATE operations SET state = 'failed', next_attempt_at = 0 WHERE tenant_id = 'on-a-file'"
        cluster.registry(undone)
        async with opened(cluster.node("neighbour")) as neighbour:
            await run_due(neighbour.parts)
            assert await states(owner, "on-a-file") == ["failed"]
        await run_due(owner.parts)
        assert await states(owner, "on-a-file") == ["succeeded"]


async def test_spare_keys_are_claimed_once_over_all_nodes(cluster: Cluster) -> None:
    made = {SigningKey.generate("RS256").to_der() for _ in range(4)}
    async with opened(cluster.node("left")) as left, opened(cluster.node("right")) as right:
        stores = [spare_keys(platform) for platform in (left, right)]
        for der in made:
            stores[0].put(der)
        taken = await asyncio.gather(*(asyncio.to_thread(store.take) for store in stores * 4))
    assert sorted(der for der in taken if der is not None) == sorted(made)


async def test_two_machines_of_one_name_do_not_serve_together(cluster: Cluster) -> None:
    """Each would take what the other holds for abandoned."""
    first = cluster.node("twin")
    second = replace(first, data=cluster.node("other-twin").data)
    async with opened(first):
        with pytest.raises(NodeNameTaken):
            async with opened(second):
                pass
        async with opened(first):  # another process of the same machine
            pass


@asynccontextmanager
async def opened(node: Node, **changes: Any) -> AsyncIterator[Platform]:
    """A process of that machine, without a worker of its own."""
    settings = cheap_settings(
        node.data,
        registry_url=Secret(node.registry_url),
        node=node.name,
        backends_file=node.backends,
        **{"default_backend": "libsql", **changes},
    )
    platform = await open_platform(settings)
    try:
        yield platform
    finally:
        await platform.close()


def spare_keys(platform: Platform) -> SpareKeys:
    return SpareKeys(platform.databases, platform.registry.ref, platform.key, platform.clock)


async def states(platform: Platform, tenant_id: str) -> list[str]:
    operations = await platform.registry.read(list_operations, tenant_id=tenant_id)
    return [operation.state for operation in operations]
