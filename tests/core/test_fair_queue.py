"""Tenants take turns at what few threads do."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from core.crypto.queue import FairQueue
from core.errors import RateLimited

pytestmark = pytest.mark.anyio


@pytest.fixture
def queue() -> Iterator[FairQueue]:
    queue = FairQueue(threads=1, waiting_of_one=20, name="test")
    yield queue
    queue.close()


async def test_who_comes_last_waits_for_one_turn_of_each_other(queue: FairQueue) -> None:
    let_go, done = threading.Event(), list[str]()

    def work(whose: str) -> None:
        let_go.wait(5)
        done.append(whose)

    flood = [asyncio.create_task(queue.run("a", work, "a")) for _ in range(15)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(queue.run(whose, work, whose)) for whose in ("b", "c", "b")]
    await asyncio.sleep(0.01)
    let_go.set()
    await asyncio.gather(*flood, *others)
    assert done[:6] == ["a", "a", "b", "c", "a", "b"]


async def test_a_full_queue_is_its_tenants_alone(queue: FairQueue) -> None:
    let_go = threading.Event()
    tasks = [asyncio.create_task(queue.run("a", let_go.wait, 5)) for _ in range(25)]
    await asyncio.sleep(0.01)
    refused = [task for task in tasks if task.done() and isinstance(task.exception(), RateLimited)]
    assert len(refused) == 4, "one is worked on, twenty wait"
    other = asyncio.create_task(queue.run("b", let_go.wait, 5))
    await asyncio.sleep(0)
    assert not other.done()
    let_go.set()
    assert await other is True
    assert [await task for task in tasks if task not in refused] == [True] * 21


async def test_who_gives_up_leaves_the_place_to_others(queue: FairQueue) -> None:
    let_go = threading.Event()
    tasks = [asyncio.create_task(queue.run(f"t{number % 3}", let_go.wait, 5)) for number in range(30)]
    await asyncio.sleep(0.01)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.sleep(0)
    let_go.set()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    assert await asyncio.wait_for(queue.run("t0", str, 1), 5) == "1"
    assert len(queue._waiting) == 0


async def test_what_fails_is_told_and_takes_no_place(queue: FairQueue) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            await queue.run("a", int, "x")
    assert await queue.run("a", int, "7") == 7
