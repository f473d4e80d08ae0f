"""F23, continued: nothing waits for a moment that was written down while the clock was ahead."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.registry.idempotency_keys import KeyInUse, claim_or_find
from controlplane.registry.operations import list_operations
from core.tenants import NewTenant, RequestKey
from provisioning.platform import Platform
from provisioning.waiting_deliveries import WaitingDeliveries
from tenant_runtime.deliveries import DeliveryFailed
from tests.faults.test_deliveries import Carrier, Post, post
from tests.installation import Installation
from tests.keyholders import keyholder
from tests.provisioning.installations import (
    MovableClock,
    copy_installation,
    made_once,
    opened,
    settings_for,
    settle,
    sql,
)
from tests.waiting import until

__all__ = ["post"]
pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOUR = 3600
YEARS = 3653 * 86_400
JUMPS = [HOUR, YEARS]


# --- What is sent later ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", JUMPS)
async def test_what_was_put_in_while_the_clock_was_ahead_is_sent_when_it_is_right(
    post: Post, jump: float
) -> None:
    post.clock.advance(jump)
    await post.put("one")
    post.clock.advance(-jump)
    carrier = Carrier()
    await post.by(carrier).run_due(post.tenant)
    assert carrier.arrived == ["one"]
    assert (await post.rows())["one"].attempts == 1


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_lease_of_a_dead_worker_whose_clock_was_ahead_holds_nothing(post: Post, jump: float) -> None:
    stuck, other = post.by(Carrier(slow={"somebody": 60.0})), Carrier()
    post.clock.advance(jump)
    await post.put("one")
    stuck.soon(post.tenant)

    async def is_held() -> bool:
        return (await post.rows())["one"].leased_until is not None

    await until(is_held)
    post.clock.advance(-jump)
    await post.by(other).run_due(post.tenant)
    assert other.arrived == ["one"]


async def test_a_pause_that_is_longer_than_any_is_over(post: Post) -> None:
    carrier = Carrier(failures={"somebody": [DeliveryFailed("status 500")]})
    deliveries = post.by(carrier)
    post.clock.advance(YEARS)
    await post.put("one")
    await deliveries.run_due(post.tenant)
    assert (await post.rows())["one"].attempts == 1
    post.clock.advance(-YEARS)
    await deliveries.run_due(post.tenant)
    assert carrier.arrived == ["one"]


async def test_a_pause_is_kept_when_the_clock_goes_back_an_hour_and_is_no_longer_for_it(post: Post) -> None:
    carrier = Carrier(failures={"somebody": [DeliveryFailed("status 500")]})
    deliveries = post.by(carrier)
    await post.put("one")
    await deliveries.run_due(post.tenant)
    post.clock.advance(-HOUR)
    await deliveries.run_due(post.tenant)
    assert carrier.arrived == []
    post.clock.advance(HOUR + 7)
    await deliveries.run_due(post.tenant)
    assert carrier.arrived == ["one"]
    await deliveries.close()


async def test_what_a_process_left_behind_years_ahead_is_found(
    installation: Installation, post: Post
) -> None:
    found: list[str] = []

    async def resume(tenant_id: str) -> None:
        found.append(tenant_id)

    waiting = WaitingDeliveries(installation.running.platform.parts, resume)
    carrier = Carrier(failures={"somebody": [DeliveryFailed("status 500")]})
    deliveries = post.by(carrier)
    post.clock.advance(YEARS)
    await post.put("one")
    await deliveries.run_due(post.tenant)
    post.clock.advance(-YEARS)
    await deliveries.close()
    for _ in range(2):  # the second look goes by what the first has noted
        found.clear()
        await waiting.look()
        assert found == ["acme"]


async def test_workers_five_seconds_apart_send_each_once(post: Post) -> None:
    ahead = MovableClock()
    ahead.ahead = 5.0
    carrier = Carrier(slow={"somebody": 0.3})
    first = post.by(carrier)
    second = Post(post.tenant, ahead).by(carrier)  # type: ignore[arg-type]
    await post.put("one", "two")
    await asyncio.gather(first.run_due(post.tenant), second.run_due(post.tenant))
    await Post(post.tenant, ahead).put("three")  # type: ignore[arg-type]
    await asyncio.gather(second.run_due(post.tenant), first.run_due(post.tenant))
    assert sorted(carrier.tried) == ["one", "three", "two"]


# --- What the registry waits for -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_installation(made_once(tmp_path_factory), tmp_path / "data")


async def states(platform: Platform) -> list[str]:
    return [operation.state for operation in await platform.registry.read(list_operations, tenant_id="late")]


@pytest.mark.parametrize("jump", JUMPS)
async def test_an_operation_of_a_process_whose_clock_was_ahead_is_taken_over(
    folder: Path, jump: float
) -> None:
    clock = MovableClock()
    async with opened(settings_for(folder), clock=clock) as platform:
        await platform.lifecycle.create(NewTenant(id="late", display_name="Late"))
        ends = int((clock.now() + jump + 20) * 1000)
        await platform.registry.write(
            sql(
                "UPDATE operations SET state = 'running', lease_owner = :owner, lease_expires_at = :until"
                " WHERE tenant_id = 'late'",
                until=ends,
                owner=platform.parts.owner,
            )
        )
        await settle(platform)
        assert await states(platform) == ["succeeded"]


async def test_a_lease_that_runs_is_left_to_its_holder(folder: Path) -> None:
    clock = MovableClock()
    async with opened(settings_for(folder), clock=clock) as platform:
        await platform.lifecycle.create(NewTenant(id="late", display_name="Late"))
        ends = int((clock.now() + 5 + 30) * 1000)  # by a process five seconds ahead
        taken = "UPDATE operations SET state = 'running', lease_owner = :owner, lease_expires_at = :until"
        owner = platform.parts.owner
        await platform.registry.write(sql(f"{taken} WHERE tenant_id = 'late'", until=ends, owner=owner))
        await settle(platform)
        assert await states(platform) == ["running"]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_back_off_of_a_clock_that_was_ahead_is_over(folder: Path, jump: float) -> None:
    clock = MovableClock()
    async with opened(settings_for(folder), clock=clock) as platform:
        await platform.lifecycle.create(NewTenant(id="late", display_name="Late"))
        later = int((clock.now() + jump) * 1000)
        await platform.registry.write(
            sql(
                "UPDATE operations SET state = 'failed', attempts = 3, lease_owner = NULL, lease_expires_at = 0,"
                " next_attempt_at = :later WHERE tenant_id = 'late'",
                later=later,
            )
        )
        await platform.registry.write(
            sql(
                "UPDATE sync_states SET attempts = 2, applied_version = NULL, next_attempt_at = :later",
                later=later,
            )
        )
        await settle(platform)
        assert await states(platform) == ["succeeded"]
        rows = await platform.registry.read(sql("SELECT attempts, applied_version FROM sync_states"))
        assert all(attempts == 0 and version is not None for attempts, version in rows)


async def test_a_deletion_that_sleeps_is_not_woken(folder: Path) -> None:
    clock = MovableClock()
    settings = settings_for(folder, deletion_grace_days=400.0)
    async with opened(settings, clock=clock) as platform:
        await platform.lifecycle.create(NewTenant(id="late", display_name="Late"))
        await platform.lifecycle.delete("late")
        before = await platform.registry.read(sql("SELECT fencing FROM operations WHERE kind = 'delete'"))
        await settle(platform)
        assert (
            await platform.registry.read(sql("SELECT fencing FROM operations WHERE kind = 'delete'"))
            == before
        )
        assert "pending" in await states(platform)


# --- Idempotency keys ------------------------------------------------------------------------------------------------


async def test_an_answer_of_an_hour_or_years_ahead_is_told_again_and_nothing_is_done_twice(
    installation: Installation,
) -> None:
    holder = keyholder(installation)
    for number, jump in enumerate(JUMPS):
        headers = {"Idempotency-Key": f"key {number}".replace(" ", "-")}
        body = {"name": f"made once {number}"}
        installation.clock.advance(jump)
        made = await holder.call("POST", "/roles", body, headers=headers)
        installation.clock.advance(-jump)
        again = await holder.call("POST", "/roles", body, headers=headers)
        assert (made.status_code, again.status_code) == (201, 201)
        assert again.json() == made.json()


async def test_a_key_that_a_dead_process_claimed_years_ahead_is_free(folder: Path) -> None:
    async with opened(settings_for(folder)) as platform:
        now = platform.parts.now()
        for ahead, is_free in ((0, False), (YEARS * 1000, True)):
            key = RequestKey(digest=f"key {ahead}", request_digest="same", expires_at=now + ahead + 15_000)
            assert await platform.registry.write(claim_or_find, key, now + ahead) is None
            again = replace(key, expires_at=now + 15_000)
            if is_free:
                assert await platform.registry.write(claim_or_find, again, now) is None
            with pytest.raises(KeyInUse):
                await platform.registry.write(claim_or_find, again, now)
