"""Nodes are stopped and started one after the other while people use them: nobody is told of it."""

import asyncio
import signal
from dataclasses import dataclass, field

import httpx
import pytest

from tests.faults.servers import Server
from tests.nodes.clusters import Cluster, Node

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]

USERS = 6


@dataclass
class Balancer:
    """What stands before nodes: whoever says at `/ready` that it leaves gets nothing more; nothing is sent twice."""

    servers: list[Server]
    ready: list[Server] = field(default_factory=list)
    answered: int = 0
    turn: int = 0
    refused: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        while True:
            self.ready = [server for server in list(self.servers) if await is_ready(server)]
            await asyncio.sleep(0.05)

    async def post(self, url: str, form: dict[str, str]) -> httpx.Response:
        self.turn += 1
        assert self.ready, "no node is ready"
        async with self.ready[self.turn % len(self.ready)].client() as http:
            answer = await http.post(url, data=form)
        self.answered += 1
        if answer.status_code != 200:
            self.refused.append(f"{answer.status_code} {answer.text}")
        return answer


async def is_ready(server: Server) -> bool:
    try:
        async with server.client() as http:
            return (await http.get("http://localhost:8000/ready")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.long
async def test_under_load_no_request_fails_while_each_node_is_restarted(cluster: Cluster) -> None:
    nodes = [cluster.node("rolling-a"), cluster.node("rolling-b")]
    servers = [started(node) for node in nodes]
    try:
        for server in servers:
            await server.ready()
        balancer = Balancer(list(servers), list(servers))
        watching = asyncio.create_task(balancer.watch())
        tokens = [await signed_in(cluster, servers[0]) for _ in range(USERS)]
        is_over = asyncio.Event()
        users = [asyncio.create_task(uses(cluster, balancer, token, is_over)) for token in tokens]
        for place, node in enumerate(nodes):
            before = balancer.answered
            servers[place].signal(signal.SIGTERM)
            assert await servers[place].ended() == -signal.SIGTERM  # after its shutdown, as uvicorn does
            servers[place] = started(node)
            balancer.servers[place] = servers[place]
            await servers[place].ready()
            async with asyncio.timeout(60):
                while balancer.answered < before + 20 or len(balancer.ready) < len(nodes):
                    await asyncio.sleep(0.05)
        is_over.set()
        await asyncio.gather(*users)
        watching.cancel()
    finally:
        for server in servers:
            server.stop()
    assert balancer.refused == []
    assert balancer.answered > 40


async def uses(cluster: Cluster, balancer: Balancer, refresh_token: str, is_over: asyncio.Event) -> None:
    """A chain of refresh tokens: one that were lost or used twice would end it."""
    tenant = cluster.tenant("acme")
    client = tenant.clients["web"]
    while not is_over.is_set():
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client.client_id}
        if client.client_secret is not None:
            form["client_secret"] = client.client_secret
        answer = await balancer.post(f"{tenant.issuer}oauth/token", form)
        if answer.status_code == 200:
            refresh_token = answer.json().get("refresh_token", refresh_token)
        await asyncio.sleep(0.05)


async def signed_in(cluster: Cluster, server: Server) -> str:
    async with server.client() as http:
        rp = cluster.party("acme", http)
        return (await rp.redeem(await rp.code())).refresh_token


def started(node: Node) -> Server:
    return Server(node.data, **node.variables(DRAIN_SECONDS="3"))
