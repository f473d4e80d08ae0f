"""F25: servers are restarted one after the other under load, gently and not; nobody notices the first."""

import asyncio
import random
import signal
from time import monotonic

import pytest

from tests.faults.conftest import Ground
from tests.faults.everything.actors import World, person, two_at_once
from tests.faults.everything.balanced import Workers
from tests.faults.everything.history import History
from tests.faults.everything.test_everything import refreshes_go_on, say, working
from tests.faults.servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.long]

PEOPLE = 12


async def test_f25_a_rolling_restart_loses_nothing_and_a_kill_only_what_was_in_flight(ground: Ground) -> None:
    history = History(words={})
    async with working(ground.data, DRAIN_SECONDS="1") as workers:
        world = World(ground.demo, ground.demo.tenants, workers, history, random.Random(25), asyncio.Event())
        looking = asyncio.create_task(workers.look())
        actors = [asyncio.create_task(person(world)) for _ in range(PEOPLE)]
        actors.append(asyncio.create_task(two_at_once(world)))
        began = monotonic()
        await asyncio.sleep(2)
        for number in range(len(workers.servers)):
            await _restart(ground, workers, number)
        gently = list(history.asked)
        await _kill(ground, workers, history)
        world.ended.set()
        await asyncio.gather(*actors)
        looking.cancel()
        say(history)
        print(f"{len(history.asked) / (monotonic() - began):.0f} requests/s over four servers")
        assert [asked for asked in gently if asked.failed] == []
        assert history.unexplained() == []
        await refreshes_go_on(world)
    for statuses in history.redemptions:
        assert statuses.count(200) <= 1


async def _restart(ground: Ground, workers: Workers, number: int) -> None:
    """SIGTERM; a new one takes the place when the old one has ended."""
    server = workers.servers[number]
    server.signal(signal.SIGTERM)
    assert await server.ended() in (0, -signal.SIGTERM)  # uvicorn hands the signal on when it is done
    assert "Application shutdown complete" in server.said()
    workers.servers[number] = Server(ground.data, DRAIN_SECONDS="1")
    await workers.servers[number].ready()
    await asyncio.sleep(1)


async def _kill(ground: Ground, workers: Workers, history: History) -> None:
    for number in range(2):
        with history.breaking("kill", server=number):
            await asyncio.to_thread(workers.servers[number].kill)
            workers.servers[number] = Server(ground.data)
            await workers.servers[number].ready()
        await asyncio.sleep(1)
