import asyncio
import time
from collections import deque
from collections.abc import Callable

import pytest
import structlog

from core.crypto.keys import SigningKey
from core.crypto.keystock import KeyStock


class Shelf:
    """A store as the registry is one: what is taken is gone."""

    def __init__(self) -> None:
        self.held: deque[bytes] = deque()

    def take(self) -> bytes | None:
        return self.held.popleft() if self.held else None

    def put(self, der: bytes) -> None:
        self.held.append(der)


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_keys_are_ready_and_each_is_claimed_once() -> None:
    stock = KeyStock(3)
    stock.start()
    await asyncio.to_thread(wait_until, lambda: len(stock) == 3)
    keys = await asyncio.gather(*(stock.claim() for _ in range(6)))
    assert len({key.kid for key in keys}) == 6
    assert {key.alg for key in keys} == {"RS256"}
    await asyncio.to_thread(wait_until, lambda: len(stock) == 3)
    stock.close()


async def test_an_empty_stock_makes_one_and_the_loop_goes_on() -> None:
    stock = KeyStock(0)
    task, turns = asyncio.create_task(stock.claim()), 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 3
    assert (await task).alg == "RS256"
    stock.close()


async def test_unclaimed_keys_survive_a_restart_and_claimed_ones_do_not() -> None:
    shelf = Shelf()
    first = KeyStock(2, shelf)
    first.start()
    wait_until(lambda: len(first) == 2)
    claimed = (await first.claim()).kid
    first.close()
    kept = {SigningKey.from_der(None, "RS256", der).kid for der in shelf.held}
    assert kept
    assert claimed not in kept
    second = KeyStock(len(kept), shelf)
    second.start()
    wait_until(lambda: len(second) == len(kept))
    assert not shelf.held
    assert {(await second.claim()).kid for _ in kept} == kept
    second.close()


class BrokenShelf:
    def take(self) -> bytes | None:
        raise OSError("away")

    def put(self, der: bytes) -> None:
        raise OSError("away")


def test_a_store_that_is_away_stops_nothing() -> None:
    with structlog.testing.capture_logs() as lines:
        stock = KeyStock(1, BrokenShelf())
        stock.start()
        wait_until(lambda: len(stock) == 1)
        stock.close()
    assert {line["event"] for line in lines} == {"spare_key_not_read", "spare_keys_not_kept"}


async def test_a_stored_value_that_is_no_key_is_passed_over() -> None:
    shelf = Shelf()
    shelf.put(b"no key")
    stock = KeyStock(1, shelf)
    with structlog.testing.capture_logs():
        stock.start()
        wait_until(lambda: len(stock) == 1)
    assert (await stock.claim()).alg == "RS256"
    stock.close()


@pytest.mark.parametrize("size", [0, 2])
def test_closing_ends_the_thread_and_may_be_repeated(size: int) -> None:
    stock = KeyStock(size)
    stock.start()
    stock.close()
    stock.close()
    assert len(stock) == 0
