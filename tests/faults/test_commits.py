"""A commit that fails, and a process that dies under load: what was answered with success is there, once (K1, K4)."""

import asyncio
import random
import secrets

import httpx
import pytest

from core import failpoints
from tests.faults.checks import file_of, is_whole, query, stand_once
from tests.faults.conftest import Ground
from tests.faults.servers import serving
from tests.installation import Installation
from tests.operators import Caller, machine_token
from tests.waiting import under_way, until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

AT_ONCE = 60
"""More than one group."""

TURNS = 10
"""How requests fall into groups is the machine's affair: tried until one group fails beside one that does not."""


async def manager(ground: Ground, http: httpx.AsyncClient) -> Caller:
    tenant = ground.demo.tenants[0]
    return Caller(
        http, await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
    )


async def make_roles(url: str, caller: Caller, mark: str, number: int = AT_ONCE) -> dict[str, httpx.Response]:
    names = [f"{mark} {place}" for place in range(number)]
    answers = await asyncio.gather(*(caller.call("POST", url, {"name": name}) for name in names))
    return dict(zip(names, answers, strict=True))


def told_the_truth(installation: Installation, answers: dict[str, httpx.Response]) -> None:
    """Success: there, once. Failure: a 5xx that says nothing of the database, and nothing left behind."""
    statuses = {answer.status_code for answer in answers.values()}
    assert statuses <= {201, 500, 503}, statuses
    for answer in answers.values():
        assert answer.status_code == 201 or "atabase" not in answer.text
    data = installation.app.settings.data_dir
    good = [name for name, answer in answers.items() if answer.status_code == 201]
    stand_once(data, "acme", "roles", "name", good)
    there = {row[0] for row in query(file_of(data, "acme"), "SELECT name FROM roles")}
    assert not (set(answers) - set(good)) & there


@pytest.mark.parametrize("at", [1, 2])
async def test_a_group_commit_that_fails_is_told_to_everybody_in_it(
    installation: Installation, at: int
) -> None:
    """The failure is not the caller's doing and its outcome not known: a 5xx, and the next request works."""
    tenant, operator = installation.tenant("acme"), await installation.manager("acme")
    url, caller = (
        f"{tenant.issuer}api/v2/roles",
        Caller(installation.http, operator._headers["Authorization"][7:]),
    )
    await caller.call("GET", url)
    failures = 0
    for turn in range(TURNS):
        # What wrote before is done, so that the next commit is the group's.
        await installation.running.services.audit.flush()
        failpoints.configure(f"database.before_commit=raise@{at}")
        try:
            answers = await make_roles(url, caller, f"group {at} {turn}")
        finally:
            failpoints.configure("")
        told_the_truth(installation, answers)
        good = sum(answer.status_code == 201 for answer in answers.values())
        failures += len(answers) - good
        if 0 < good < len(answers):
            break
    assert failures, "the failure met one of the groups"
    assert good, "some were told of success and some of failure"
    again = await make_roles(url, caller, f"again {at}", 3)
    assert {answer.status_code for answer in again.values()} == {201}
    other = await installation.manager("globex")
    await other.post("/roles", {"name": "elsewhere"})


async def test_killed_under_load_what_was_answered_is_there_once(ground: Ground) -> None:
    url, answered = f"{ground.demo.tenants[0].issuer}api/v2/roles", list[str]()
    keyed: dict[str, httpx.Response] = {}
    for seed in (1, 2, 3):
        async with serving(ground.data) as server, server.client() as http:
            caller = await manager(ground, http)

            async def work(worker: int, seed: int = seed, caller: Caller = caller) -> None:
                for number in range(10_000):
                    name = f"{seed}.{worker}.{number}"
                    answer = await caller.call("POST", url, {"name": name}, headers={"Idempotency-Key": name})
                    if answer.status_code == 201:
                        answered.append(name)
                        keyed[name] = answer

            tasks = [asyncio.create_task(work(worker)) for worker in range(8)]
            await until(under_way(answered, 12))
            await asyncio.sleep(random.Random(seed).random() / 2)
            server.kill()
            assert all(
                isinstance(end, httpx.TransportError)
                for end in await asyncio.gather(*tasks, return_exceptions=True)
            )
    assert len(answered) > 30
    stand_once(ground.data, "acme", "roles", "name", answered)
    async with serving(ground.data) as server, server.client() as http:
        caller = await manager(ground, http)
        for name in random.Random(4).sample(answered, 10):
            again = await caller.call("POST", url, {"name": name}, headers={"Idempotency-Key": name})
            assert again.json()["id"] == keyed[name].json()["id"]
        assert (await caller.call("POST", url, {"name": secrets.token_hex(6)})).status_code == 201
    stand_once(ground.data, "acme", "roles", "name", answered)
    is_whole(ground.data)
