"""What happens to whole processes in every world: one stands still for a while, one that died is started again."""

import asyncio
import random
import signal
from collections.abc import Callable
from time import monotonic

from tests.faults.everything.history import EVERYBODY, History
from tests.faults.servers import Server


async def stand_still(servers: list[Server], history: History, rng: random.Random) -> None:
    """It may hold the one writer's lock of any database meanwhile."""
    server = rng.choice(servers)
    with history.breaking("stop", tenant=EVERYBODY):
        if server.process.exitcode is None:
            server.signal(signal.SIGSTOP)
            await asyncio.sleep(rng.uniform(0.5, 6.0))
            server.signal(signal.SIGCONT)


async def revive(
    servers: list[Server], history: History, start: Callable[[int], Server], all_lived: float
) -> float:
    """Those that died at their failpoint, whenever that was since `all_lived`; answers when they were looked at:
    another may die while one is started."""
    looked_at = monotonic()
    for number, server in enumerate(servers):
        if server.process.exitcode is not None:
            with history.breaking("died", server=number) as fault:
                fault.began = all_lived
                servers[number] = start(number)
                await servers[number].ready()
    return looked_at
