"""A queue of units of work before the one thread that owns a connection.

Everything here but `_drain` happens on the event loop, which never waits. Units are taken from the queue by the
thread, after it holds whatever it must hold; one not yet taken when its deadline passes is withdrawn, and its
caller told that nothing happened. Once taken, a unit is finished and its caller waits for the truth.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.database.crossing import Crossing
from core.database.faults import told
from core.errors import DatabaseBusy

QUEUE_LIMIT = 4_096
"""Units that may wait for one tenant's thread: a slow tenant fills its own queue, nobody else's."""


@dataclass(slots=True, eq=False)
class Job:
    """One unit of work with its arguments and the future of who asked for it."""

    unit: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: "asyncio.Future[Any]"
    alone: bool = False
    converge: bool = False
    withdraw_at: float = field(default=0.0)


Outcome = tuple[Job, Any, Exception | None]
"""Either a value or an exception, for one job."""


class Runner(Protocol):
    """What the thread does with the queue: `reads.Reads` or `group.GroupCommit`."""

    broken: bool

    def run(self, queue: deque[Job]) -> list[Outcome]:
        """Take at most one batch and run it. Never raises for what a unit or the database did."""

    def close(self) -> None: ...


class ThreadLane:
    def __init__(
        self, crossing: Crossing, runner: Runner, *, deadline: float, on_idle: Callable[[], None]
    ) -> None:
        self._crossing = crossing
        self._runner = runner
        self._deadline = deadline
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Job] = deque()
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        return not self._draining

    @property
    def broken(self) -> bool:
        return self._runner.broken

    def submit(
        self,
        unit: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        alone: bool = False,
        converge: bool = False,
    ) -> "asyncio.Future[Any]":
        if len(self._queue) >= QUEUE_LIMIT:
            raise DatabaseBusy
        loop = self._loop
        future = loop.create_future()
        self._queue.append(Job(unit, args, kwargs, future, alone, converge, loop.time() + self._deadline))
        if not self._draining:
            self._draining = True
            self._crossing.send(self._drain)
        if self._timer is None:
            self._timer = loop.call_later(self._deadline, self._withdraw)
        return future

    async def close(self) -> None:
        """Finish what was submitted, then close. Nothing may be submitted any more."""
        if self._draining:
            self._closing = self._loop.create_future()
            await self._closing
        if self._timer is not None:
            self._timer.cancel()
        await self._crossing.close(self._runner.close)

    def _drain(self) -> None:
        """In the thread: batch after batch until the queue is empty."""
        more = True
        while more:
            try:
                outcomes = self._runner.run(self._queue)
            except BaseException as error:  # nobody may be left waiting, whatever happened
                outcomes = fail_all(self._queue, error)
            more = bool(self._queue)
            try:
                self._loop.call_soon_threadsafe(self._deliver, outcomes, not more)
            except RuntimeError:  # the loop is gone, and with it everybody who waits
                return

    def _deliver(self, outcomes: list[Outcome], finished: bool) -> None:
        for job, value, error in outcomes:
            if job.future.done():  # the request was cancelled; its unit is done all the same
                continue
            if error is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(error)
        if not finished:
            return
        if self._queue:  # came while this was on its way
            self._crossing.send(self._drain)
        else:
            self._draining = False
            self._on_idle()
            if self._closing is not None and not self._closing.done():
                self._closing.set_result(None)

    def _withdraw(self) -> None:
        self._timer = None
        now = self._loop.time()
        with suppress(IndexError):
            while (job := self._queue[0]).withdraw_at <= now:
                self._withdraw_one(job)
            self._timer = self._loop.call_at(job.withdraw_at, self._withdraw)

    def _withdraw_one(self, job: Job) -> None:
        with suppress(ValueError, IndexError):  # the thread took it meanwhile
            self._queue.remove(job)
            if not job.future.done():
                job.future.set_exception(DatabaseBusy())


def fail_all(queue: deque[Job], error: BaseException) -> list[Outcome]:
    """Everybody who waits is told the same; nothing of theirs was begun."""
    outcomes: list[Outcome] = []
    with suppress(IndexError):
        while True:
            outcomes.append((queue.popleft(), None, _for_one(told(error))))
    return outcomes


def _for_one(error: Exception) -> Exception:
    """An exception collects the traceback of whoever awaits it, so each gets one of its own."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__ or error
    return own
