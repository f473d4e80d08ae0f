"""The queue of one remote database, and the few threads that may work for it at the same time.

Everything here but `_work` happens on the event loop, which never waits. A thread of the kind's executor is taken for
each unit and given back: the executor has room for every lane's full width, so that no lane waits for another's.
A unit not begun within its deadline is withdrawn; one that was begun ends within as much time again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from core.database.lane import Job
from core.database.remote.breaker import Breaker, CircuitOpen
from core.database.remote.figures import Figures
from core.errors import DatabaseBusy, DatabaseUnavailable

QUEUE_LIMIT = 256
"""Units that may wait for one database; they would hardly be reached within their deadline beyond that."""

Tell = Callable[[Any], None]


class Runner(Protocol):
    """`attempts.Attempts`, reading or writing. In a thread."""

    def run(self, job: Job, until: float, tell: Tell) -> None: ...

    def told(self, error: BaseException) -> Exception: ...

    def close(self) -> None: ...


class RemoteLane:
    broken = False

    def __init__(
        self,
        runner: Runner,
        executor: Executor,
        breaker: Breaker,
        figures: Figures,
        *,
        width: int,
        deadline: float,
        on_idle: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._executor = executor
        self._breaker = breaker
        self._figures = figures
        self._width = width
        self._deadline = deadline
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Job] = deque()
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        return not self._running and not self._queue

    def submit(
        self,
        unit: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        alone: bool = False,
        converge: bool = False,
    ) -> "asyncio.Future[Any]":
        """Every unit has a transaction of its own, so all of them run alone."""
        if len(self._queue) >= QUEUE_LIMIT:
            self._figures.refused_by_queue += 1
            raise DatabaseBusy
        self._refuse_at_once()
        loop = self._loop
        future = loop.create_future()
        self._queue.append(Job(unit, args, kwargs, future, alone, converge, loop.time() + self._deadline))
        self._figures.waiting += 1
        self._start()
        if self._queue and self._timer is None:
            self._timer = loop.call_later(self._deadline, self._withdraw)
        return future

    async def close(self) -> None:
        if not self.idle:
            self._closing = self._loop.create_future()
            await self._closing
        if self._timer is not None:
            self._timer.cancel()
        await self._loop.run_in_executor(self._executor, self._runner.close)

    # --- on the loop -----------------------------------------------------------------------------------------

    def _refuse_at_once(self) -> None:
        try:
            self._breaker.check()
        except CircuitOpen:
            self._figures.refused_by_circuit += 1
            raise

    def _start(self) -> None:
        while self._queue and self._running < self._width:
            job = self._queue.popleft()
            self._figures.waiting -= 1
            self._running += 1
            self._figures.running += 1
            self._executor.submit(self._work, job)

    def _deliver(self, job: Job, value: Any, error: Exception | None, seconds: float) -> None:
        self._figures.took(seconds)
        if isinstance(error, CircuitOpen):
            self._figures.refused_by_circuit += 1
        elif isinstance(error, DatabaseUnavailable):
            self._figures.failed += 1
        if job.future.done():  # the request was cancelled; its unit is done all the same
            return
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)

    def _finished(self) -> None:
        self._running -= 1
        self._figures.running -= 1
        self._start()
        if not self.idle:
            return
        self._on_idle()
        if self._closing is not None and not self._closing.done():
            self._closing.set_result(None)

    def _withdraw(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue:
            job = self._queue[0]
            if job.withdraw_at > now:
                self._timer = self._loop.call_at(job.withdraw_at, self._withdraw)
                return
            self._queue.popleft()
            self._figures.waiting -= 1
            self._figures.withdrawn += 1
            if not job.future.done():
                job.future.set_exception(DatabaseBusy())

    # --- in a thread -----------------------------------------------------------------------------------------

    def _work(self, job: Job) -> None:
        begun = monotonic()

        def tell(value: Any, error: Exception | None = None) -> None:
            self._on_loop(self._deliver, job, value, error, monotonic() - begun)

        try:
            self._runner.run(job, begun + self._deadline, tell)
        except BaseException as error:  # nobody may be left waiting, whatever happened
            tell(None, self._runner.told(error))
        self._on_loop(self._finished)

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it everybody who waits
            self._loop.call_soon_threadsafe(function, *args)
