"""`Idempotency-Key`: the first answer again, for 24 hours, to the same caller (`specs/bad-inputs.md` 134)."""

import asyncio

import pytest

from tenant_runtime.models import IdempotencyKey, Role, User
from tests.engines.servers import written_for
from tests.management.world import World

pytestmark = pytest.mark.anyio

KEY = {"Idempotency-Key": "one"}
DAY = 24 * 3600


async def test_the_same_request_has_the_same_answer_and_one_effect(world: World) -> None:
    api = world.acme.api()
    first = await api.post("/roles", {"name": "Clerk"}, headers=KEY)
    again = await api.post("/roles", {"name": "Clerk"}, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert len(await world.acme.rows(Role)) == 1
    assert len(await world.acme.events()) == 1


async def test_of_many_at_once_one_is_done_and_all_have_its_answer(world: World) -> None:
    api = world.acme.api()
    body = {"email": "ada@acme.example", "password": "correct horse battery staple"}
    answers = await asyncio.gather(*(api.post("/users", body, headers=KEY) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert len(await world.acme.rows(User)) == 1


async def test_another_request_under_the_same_key_is_refused(world: World) -> None:
    api = world.acme.api()
    await api.post("/roles", {"name": "Clerk"}, headers=KEY)
    for path, body in (("/roles", {"name": "Other"}), ("/roles?wait=sync", {"name": "Clerk"})):
        assert (await api.post(path, body, headers=KEY)).status_code == 422, path
    assert (await api.post("/organizations", {"name": "clerk"}, headers=KEY)).status_code == 422
    assert len(await world.acme.rows(Role)) == 1


async def test_keys_of_other_callers_and_tenants_are_other_keys(world: World) -> None:
    await world.acme.api().post("/roles", {"name": "Clerk"}, headers=KEY)
    id = (await world.acme.api().made("/clients", {"name": "Other"}))["client_id"]
    other = world.acme.api(sub=f"{id}@clients", client_id=id, azp=id)
    assert (await other.post("/roles", {"name": "Other"}, headers=KEY)).status_code == 201
    assert (await world.globex.api().post("/roles", {"name": "Third"}, headers=KEY)).status_code == 201


async def test_a_refused_request_may_be_corrected_under_its_key(world: World) -> None:
    api = world.acme.api()
    await api.made("/roles", {"name": "Clerk"})
    assert (await api.post("/roles", {"name": "Clerk"}, headers=KEY)).status_code == 409
    assert (await api.post("/roles", {"name": "Clerk 2"}, headers=KEY)).status_code == 201


async def test_after_a_day_the_key_is_free(world: World) -> None:
    await world.acme.api().post("/roles", {"name": "Clerk"}, headers=KEY)
    world.clock.time += DAY + 1
    assert (await world.acme.api().post("/roles", {"name": "Other"}, headers=KEY)).status_code == 201
    assert len(await world.acme.rows(IdempotencyKey)) == 1


async def test_a_secret_is_given_again_and_stands_nowhere_in_clear(world: World) -> None:
    api = world.acme.api()
    first = (await api.post("/clients", {"name": "Web"}, headers=KEY)).json()
    again = (await api.post("/clients", {"name": "Web"}, headers=KEY)).json()
    assert again == first
    [row] = await world.acme.rows(IdempotencyKey)
    assert first["client_secret"].encode() not in row.body
    assert first["client_secret"].encode() not in written_for(world.acme.tenant.database.ref)


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "\u00e9"])
async def test_a_malformed_key_is_refused(world: World, key: str) -> None:
    answer = await world.acme.api().post(
        "/roles", {"name": "Clerk"}, headers={"Idempotency-Key": key.encode()}
    )
    assert answer.status_code == 400
    assert await world.acme.rows(Role) == []
