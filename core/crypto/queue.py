"""Work for a few threads, asked for by many tenants: each has a queue of its own, and they take turns.

Whatever one tenant's callers ask for, another's waits for the work that is being done and one turn of each tenant that
waits too. A tenant's queue is bounded; beyond, its callers are told to come back.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from core.errors import RateLimited

T = TypeVar("T")
Waiting = asyncio.Future[None]


class FairQueue:
    def __init__(self, *, threads: int, waiting_of_one: int, name: str) -> None:
        self._threads = threads
        self._most = waiting_of_one
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._running = 0
        self._waiting: OrderedDict[str, deque[Waiting]] = OrderedDict()

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def run(self, whose: str, work: Callable[..., T], *args: Any) -> T:
        """A caller who gives up while waiting leaves the queue; work that was begun is done."""
        await self._turn(whose)
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args))
        except RuntimeError:
            self._next()
            raise
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: "asyncio.Future[Any]") -> None:
        if not future.cancelled():
            future.exception()  # whoever asked may have gone
        self._next()

    async def _turn(self, whose: str) -> None:
        if self._running < self._threads:
            self._running += 1
            return
        queue = self._waiting.get(whose)
        if len(queue or ()) >= self._most:
            raise RateLimited(retry_after=1)
        if queue is None:
            queue = self._waiting[whose] = deque()
        turn: Waiting = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(whose, turn)
            raise

    def _leave(self, whose: str, turn: Waiting) -> None:
        if turn.done() and not turn.cancelled():
            self._next()  # it was this one's turn already
            return
        queue = self._waiting.get(whose)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[whose]

    def _next(self) -> None:
        """The place goes on to the tenant that has waited for longest since its last turn."""
        while self._waiting:
            whose, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[whose] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1
