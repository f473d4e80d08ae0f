"""F2, F3, F4 and F22: a change of the control plane on its way to sixty tenants, and servers that die or sleep."""

import asyncio
import random
import shutil
import signal
from pathlib import Path

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from core.tenants import NewTenant
from entrypoints.asgi import create_app
from entrypoints.demo_content import Demo
from tests.conftest import settings_for
from tests.faults.checks import everybody_follows, file_of, is_whole, query, stand_once
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving
from tests.operators import Caller
from tests.waiting import under_way, until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

FLEET = 60
SEEDS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
async def fleet(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """The demo's tenants and fifty-seven more. Tests of this module change it, one after the other."""
    data = tmp_path_factory.mktemp("fleet") / "data"
    shutil.copytree(golden[0], data, ignore=shutil.ignore_patterns("generations", "workers"))
    app = create_app(settings_for(data))
    async with app.lifespan() as running:
        lifecycle = running.platform.lifecycle
        for number in range(FLEET - len(golden[1].tenants)):
            await lifecycle.create(NewTenant(id=f"f{number}", display_name=f"F {number}"))
    return Ground(data, golden[1])


def behind(ground: Ground) -> list[str]:
    return everybody_follows(ground.data)


async def all_follow(ground: Ground) -> None:
    async def followed() -> bool:
        return not await asyncio.to_thread(behind, ground)

    await until(followed)


async def change(ground: Ground, operator: Caller, mark: str) -> list[str]:
    """A role, its permissions, another one renamed: the names that were answered with success."""
    answered: list[str] = []
    base = ground.plane
    made = await operator.call("POST", f"{base}/roles", {"name": f"role {mark}"})
    if made.status_code != 201:
        return answered
    answered.append(f"role {mark}")
    role = f"{base}/roles/{made.json()['id']}"
    permission = {
        "resource_server_identifier": "https://billing.example.com",
        "permission_name": "read:invoices",
    }
    await operator.call("POST", f"{role}/permissions", {"permissions": [permission]})
    renamed = await operator.call("PATCH", role, {"name": f"role {mark} \u2019 renamed"})
    if renamed.status_code == 200:
        answered[-1] = f"role {mark} \u2019 renamed"
    return answered


@pytest.mark.parametrize("place", ["sync.claimed=exit", "sync.applied=exit@17", "sync.apply.rows=exit@5"])
async def test_f2_f3_a_server_that_dies_on_the_way_leaves_a_change_that_arrives_everywhere_once(
    fleet: Ground, place: str
) -> None:
    answered: list[str] = []
    async with serving(fleet.data, place) as server, server.client() as http:
        try:
            operator = await fleet.operator(http)
            answered = await change(fleet, operator, place)
            await operator.call("POST", f"{fleet.plane}/fleet/converge")
        except httpx.TransportError:
            pass
        assert await server.ended() == EXIT_STATUS
    assert behind(fleet), "it died before all had it"
    async with serving(fleet.data) as server, server.client() as http:
        await all_follow(fleet)
        operator = await fleet.operator(http)

        async def recorded() -> bool:
            return bool(
                (await operator.call("GET", f"{fleet.plane}/fleet/sync", only="lagging")).json() == []
            )

        await until(recorded)
    for name in answered:
        for tenant_id in ("control_plane", "acme", "f0", "f56"):
            stand_once(fleet.data, tenant_id, "roles", "name", [name])
    is_whole(fleet.data)


async def test_f4_killed_again_and_again_in_the_middle_of_a_sync_nothing_answered_is_lost(
    fleet: Ground,
) -> None:
    answered: list[str] = []
    for seed in SEEDS:
        generator = random.Random(seed)
        async with serving(fleet.data) as server, server.client() as http:
            operator = await fleet.operator(http)

            async def work(seed: int = seed, operator: Caller = operator) -> None:
                for number in range(1000):
                    answered.extend(await change(fleet, operator, f"{seed}.{number}"))

            task = asyncio.create_task(work())
            await until(under_way(answered, 2))
            await asyncio.sleep(generator.random())
            server.kill()
            with pytest.raises(httpx.TransportError):
                await task
    assert len(answered) > len(SEEDS)
    async with serving(fleet.data):
        await all_follow(fleet)
    names = [row[0] for row in query(file_of(fleet.data, "control_plane"), "SELECT name FROM roles")]
    for name in answered:
        renamed = f"{name} \u2019 renamed"
        assert names.count(name) + names.count(renamed) == 1, name
    stand_once(fleet.data, "f31", "roles", "name", names[-1:])
    is_whole(fleet.data)


async def test_f22_a_worker_that_slept_over_a_change_is_refused_with_its_older_catalogue(
    fleet: Ground,
) -> None:
    sleeper, other = Server(fleet.data, "sync.claimed=sleep:0.5"), Server(fleet.data)
    try:
        await sleeper.ready()
        await other.ready()
        async with other.client() as http:
            operator = await fleet.operator(http)
            made = (await operator.call("POST", f"{fleet.plane}/roles", {"name": "sleepy"})).json()
            await asyncio.sleep(0.1)
            sleeper.signal(signal.SIGSTOP)
            url = f"{fleet.plane}/roles/{made['id']}"
            for number in range(5):
                assert (await operator.call("PATCH", url, {"name": f"awake {number}"})).status_code == 200
            sleeper.signal(signal.SIGCONT)
            await all_follow(fleet)
            await asyncio.sleep(1.0)
            assert behind(fleet) == [], "the sleeper wrote nothing older"
            drift = (await operator.call("GET", f"{fleet.plane}/tenants/acme/drift")).json()
            assert drift["in_sync"]
    finally:
        sleeper.stop()
        other.stop()
    stand_once(fleet.data, "f10", "roles", "name", ["awake 4"])
