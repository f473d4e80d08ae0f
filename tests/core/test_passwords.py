import asyncio
import time
from collections.abc import Iterator

import pytest

from core.crypto.passwords import PasswordHasher
from core.errors import RateLimited
from core.settings import Settings


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(memory_kib=1024, iterations=1, queue_limit=4, threads=1)
    yield hasher
    hasher.close()


async def test_the_right_password_is_recognised_and_no_other(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("correct horse battery")
    assert await hasher.verify(hashed, "correct horse battery")
    assert not await hasher.verify(hashed, "correct horse batterx")
    assert not await hasher.verify(None, "no account has this password")
    assert not await hasher.verify("no hash", "x")


async def test_two_hashes_of_one_password_differ(hasher: PasswordHasher) -> None:
    assert await hasher.hash("one password") != await hasher.hash("one password")


async def test_spellings_that_look_the_same_are_the_same(hasher: PasswordHasher) -> None:
    assert await hasher.verify(await hasher.hash("caf\u00e9 caf\u00e9"), "cafe\u0301 cafe\u0301")


async def test_nothing_is_cut_off(hasher: PasswordHasher) -> None:
    long = "x" * 4095
    assert not await hasher.verify(await hasher.hash(long + "a"), long + "b")
    assert not await hasher.verify(await hasher.hash("a\x00b"), "a\x00c")


async def test_any_text_is_a_password(hasher: PasswordHasher) -> None:
    for text in ("", "\x00", "\ud800", "\U0001f600" * 100):
        assert await hasher.verify(await hasher.hash(text), text)


async def test_the_parameters_are_the_configured_ones() -> None:
    hasher = PasswordHasher.from_settings(Settings())
    hashed = await hasher.hash("x")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not hasher.needs_rehash(hashed)
    hasher.close()


async def test_a_hash_of_other_parameters_asks_to_be_made_anew(hasher: PasswordHasher) -> None:
    other = PasswordHasher(memory_kib=2048, iterations=1)
    assert hasher.needs_rehash(await other.hash("x"))
    assert hasher.needs_rehash("no hash")
    other.close()


async def test_an_unknown_user_costs_what_a_known_one_costs() -> None:
    hasher = PasswordHasher(memory_kib=8192, iterations=2, threads=1)
    hashed = await hasher.hash("right")

    async def cost(of: str | None) -> float:
        times = []
        for _ in range(15):
            started = time.process_time()
            await hasher.verify(of, "wrong")
            times.append(time.process_time() - started)
        return min(times)

    known, unknown = await cost(hashed), await cost(None)
    assert 0.5 < known / unknown < 2
    hasher.close()


async def test_a_flood_fills_the_queue_and_is_told_when_to_come_back() -> None:
    hasher = PasswordHasher(memory_kib=16384, iterations=2, queue_limit=4, threads=1)
    hashed = await hasher.hash("x")
    answers = await asyncio.gather(*(hasher.verify(hashed, "x") for _ in range(50)), return_exceptions=True)
    limited = [answer for answer in answers if isinstance(answer, RateLimited)]
    assert 5 <= answers.count(True) < 25  # one thread, four in the queue, and what was done meanwhile
    assert len(limited) == 50 - answers.count(True)
    assert limited[0].headers["Retry-After"] == "1"
    assert await hasher.verify(hashed, "x")
    hasher.close()


async def test_a_cancelled_check_gives_its_place_back(hasher: PasswordHasher) -> None:
    hashed = await hasher.hash("x")
    for _ in range(5):
        tasks = [asyncio.create_task(hasher.verify(hashed, "x")) for _ in range(5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)
    assert await hasher.verify(hashed, "x")


async def test_the_event_loop_goes_on_meanwhile() -> None:
    hasher = PasswordHasher(threads=1)
    hashed = await hasher.hash("x")
    turns = 0
    task = asyncio.create_task(hasher.verify(hashed, "x"))
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    hasher.close()
