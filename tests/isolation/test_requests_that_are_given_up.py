"""Neighbours on one server, whose clients go away in the middle of their requests: what the server still answers is
given to nobody else."""

import asyncio
import random
import secrets
from contextlib import suppress

import pytest

from entrypoints.network import Api
from tests.installation import Installation
from tests.isolation.conftest import A, B

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORKERS, ROUNDS, GIVEN_UP = 4, 20, 0.5


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("libsql", marks=pytest.mark.libsql),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def engine(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def test_no_answer_reaches_another(installation: Installation) -> None:
    words = {tenant_id: f"canary{secrets.token_hex(8)}" for tenant_id in (A, B)}
    managers = {tenant_id: await installation.manager(tenant_id) for tenant_id in words}
    for tenant_id, word in words.items():
        for number in range(5):
            await managers[tenant_id].post("/roles", {"name": f"{word} {number}"})
    done = await asyncio.gather(
        *(
            _ask(managers[tenant_id], words[tenant_id], other, random.Random(f"{tenant_id} {number}"))
            for tenant_id, other in ((A, words[B]), (B, words[A]))
            for number in range(WORKERS)
        )
    )
    answered, given_up = (sum(counts) for counts in zip(*done, strict=True))
    assert answered > WORKERS * ROUNDS / 4
    assert given_up > WORKERS * ROUNDS / 4


async def _ask(manager: Api, own: str, other: str, chance: random.Random) -> tuple[int, int]:
    answered = given_up = 0
    for number in range(ROUNDS):
        asking = asyncio.create_task(_write_and_read(manager, own, f"{chance.random()} {number}"))
        if chance.random() < GIVEN_UP:
            for _ in range(chance.randrange(60)):  # turns of the loop: at any step of the request
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random() / 100)
            asking.cancel()
        with suppress(asyncio.CancelledError):
            said = await asking
            assert own in said
            assert other not in said
            answered += 1
            continue
        given_up += 1
    return answered, given_up


async def _write_and_read(manager: Api, word: str, name: str) -> str:
    made = await manager.post("/roles", {"name": f"{word} {name}"})
    return f"{await manager.get('/roles?per_page=100')}{await manager.get('/roles/' + made['id'])}"
