"""F35: everything at once, for as long as one likes, from a seed; then K1 to K7 from the history.

`make faults` runs ten minutes with 50 tenants. `FAULTS_SEED`, `FAULTS_SECONDS` and `FAULTS_TENANTS` say otherwise;
the seed is printed, and one that failed is a test of its own from then on.
"""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from entrypoints.demo_content import DemoTenant, make_tenant
from entrypoints.network import Api
from tests.faults.checks import everybody_follows, file_of, is_whole, query, stand_once
from tests.faults.conftest import Ground
from tests.faults.everything.actors import ACTORS, World
from tests.faults.everything.balanced import Workers
from tests.faults.everything.disturber import Disturber
from tests.faults.everything.history import History
from tests.faults.servers import Server, serving
from tests.relying_party import RelyingParty
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.long]

WORKERS = 4
CALM_SECONDS = 60.0
SEED = int(os.environ.get("FAULTS_SEED", "0")) or secrets.randbelow(10**9)
SECONDS = float(os.environ.get("FAULTS_SECONDS", "600"))
TENANTS = int(os.environ.get("FAULTS_TENANTS", "50"))


async def test_f35_whatever_happens_every_promise_is_kept(ground: Ground) -> None:
    print(f"seed {SEED}, {SECONDS:.0f} s, {TENANTS} tenants")
    tenants = await _filled(ground, TENANTS)
    history = History(words={tenant.id: f"word{secrets.token_hex(8)}" for tenant in tenants})
    rng = random.Random(SEED)
    async with working(ground.data) as workers:
        ended = asyncio.Event()
        world = World(ground.demo, tenants, workers, history, rng, ended)
        disturber = Disturber(
            ground.data,
            workers.servers,
            [tenant.id for tenant in tenants],
            history,
            random.Random(SEED + 1),
            lambda failing: Server(ground.data, failing),
        )
        actors = [asyncio.create_task(act(world)) for act in ACTORS]
        breaking = asyncio.create_task(disturber.run(ended))
        await asyncio.wait([breaking, *actors], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ended.set()
        await asyncio.gather(breaking, *actors)
        say(history)
        await _calms_down(ground, world)
        await refreshes_go_on(world)
    _check(ground.data, tenants, history)


async def _filled(ground: Ground, count: int) -> list[DemoTenant]:
    tenants = list(ground.demo.tenants)
    async with serving(ground.data) as server, server.client() as http:
        operator = await ground.operator(http)
        assert operator.token is not None
        platform = Api(http, ground.plane, operator.token)
        for number in range(count - len(tenants)):
            tenant_id = f"tenant{number}"
            issuer = f"http://{tenant_id}.localhost:8000/"
            tenants.append(await make_tenant(platform, http, operator.token, tenant_id, issuer))
    return tenants[:count]


@asynccontextmanager
async def working(data: Path, **settings: str) -> AsyncIterator[Workers]:
    workers = Workers()
    workers.servers = [Server(data, **settings) for _ in range(WORKERS)]
    try:
        for server in workers.servers:
            await server.ready()
        yield workers
    finally:
        for server in workers.servers:
            server.stop()


async def _calms_down(ground: Ground, world: World) -> None:
    """K3: within a minute everybody holds what is wanted, and nothing that was begun is left undone."""

    async def settled() -> bool:
        open_operations = query(
            ground.data / "registry.db",
            "SELECT count(*) FROM operations WHERE state IN ('running', 'failed')"
            " OR (state = 'pending' AND kind != 'delete')",
        )
        return open_operations == [(0,)] and everybody_follows(ground.data) == []

    await until(settled, CALM_SECONDS)


async def refreshes_go_on(world: World) -> None:
    """K1: the refresh token that somebody was answered last is good."""
    async with httpx.AsyncClient(transport=world.client()._transport, timeout=30) as http:
        for tenant in world.tenants:
            for token in world.history.chains.get(tenant.id, {}).values():
                rp = RelyingParty(
                    http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0]
                )
                answer = await rp.refresh(token)
                assert answer.status == 200, (tenant.id, answer.body)


def say(history: History) -> None:
    print(f"{len(history.asked)} requests: {dict(Counter(asked.status for asked in history.asked))}")
    waits = sum(asked.failed and history.follows_a_change(asked) for asked in history.asked)
    print(f"{waits} of them told to come again while a change of the catalogue was on its way")
    print(f"faults: {dict(Counter(fault.kind for fault in history.broken))}")
    print(
        f"{len(history.tokens)} tokens, {len(history.redemptions)} codes redeemed at once,"
        f" {sum(map(len, history.made.values()))} roles, {len(history.suspensions)} suspensions"
    )


def _check(data: Path, tenants: list[DemoTenant], history: History) -> None:
    is_whole(data)
    for tenant_id, names in history.made.items():
        stand_once(data, tenant_id, "roles", "name", names)  # K1
        for name in history.perhaps.get(tenant_id, ()):
            found = query(
                file_of(data, tenant_id), "SELECT count(*) FROM roles WHERE name = ? AND NOT is_system", name
            )
            assert found[0][0] <= 1, (tenant_id, name)
    assert not history.strays  # K2
    _holds_no_foreign_word(data, history)
    for statuses in history.redemptions:  # K4
        assert statuses.count(200) <= 1, statuses
    assert history.issued_while_suspended() == []  # K5
    unexplained = history.unexplained()  # K6
    assert unexplained == [], "\n".join(map(history.told, unexplained))


def _holds_no_foreign_word(data: Path, history: History) -> None:
    files = {tenant_id: file_of(data, tenant_id).read_bytes() for tenant_id in history.words}
    files["registry"] = (data / "registry.db").read_bytes()
    for owner, content in files.items():
        for tenant_id, word in history.words.items():
            assert owner == tenant_id or word.encode() not in content, f"{owner} holds a word of {tenant_id}"
