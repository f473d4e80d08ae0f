"""A tenant is moved by one node while several serve it: none writes to the old database, and nobody is refused."""

import asyncio

import pytest

from tests.nodes.clusters import Cluster
from tests.nodes.conftest import cluster
from tests.nodes.test_rolling_restart import Balancer, signed_in, uses
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]

__all__ = ["cluster"]


@pytest.mark.long
async def test_both_nodes_follow_under_load(cluster: Cluster) -> None:
    async with cluster.node("mover").serving() as one, cluster.node("other").serving() as other:
        balancer = Balancer([one, other], [one, other])
        tokens = [await signed_in(cluster, one) for _ in range(4)]
        is_over = asyncio.Event()
        users = [asyncio.create_task(uses(cluster, balancer, token, is_over)) for token in tokens]
        async with one.client() as http:
            operator = await cluster.operator(http)
            for backend in ("postgresql", "libsql"):
                before = balancer.answered
                path = f"{cluster.plane}/tenants/acme/move"
                answer = await operator.call("POST", path, {"backend": backend})
                assert answer.status_code == 202, answer.text
                operation = f"{cluster.plane}/operations/{answer.json()['id']}"

                async def has_ended(operation: str = operation) -> bool:
                    return (await operator.call("GET", operation)).json()["state"] == "succeeded"

                await until(has_ended)
                there = (await operator.call("GET", f"{cluster.plane}/tenants/acme")).json()
                assert there["backend"] == backend
                async with asyncio.timeout(60):
                    while balancer.answered < before + 20:
                        await asyncio.sleep(0.05)
        is_over.set()
        await asyncio.gather(*users)
    assert balancer.refused == []
