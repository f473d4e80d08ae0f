"""A circuit breaker: whoever asks a database that does not answer is told so at once, not after its deadline.

    closed --(THRESHOLD faults in a row)--> open --(pause is over)--> half open --(probe succeeds)--> closed
                                             ^------------(probe fails, longer pause)-----'

One for each database, so a dead one costs the others nothing.
"""

import math
import random
import threading
from collections.abc import Callable
from time import monotonic

from core.errors import DatabaseUnavailable

THRESHOLD = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
PROBE_SECONDS = 15.0
"""A probe of which nothing was heard for so long is given up."""


class CircuitOpen(DatabaseUnavailable):
    """This database did not answer several times in a row and is left in peace for a while: nothing happened."""


class Breaker:
    """Any thread may use it."""

    __slots__ = ("_faults", "_lock", "_now", "_opened", "_until", "_why")

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._faults = 0
        self._opened = 0
        """How often in a row, without a success."""

        self._until = 0.0
        self._why = ""

    @property
    def is_open(self) -> bool:
        return self._opened > 0

    def check(self) -> None:
        """Refuses at once what `admit` would refuse anyway."""
        if self._opened and (left := self._until - self._now()) > 0:
            raise CircuitOpen(retry_after=math.ceil(left)) from ConnectionError(self._why)

    def admit(self) -> None:
        """To be called before each attempt. Of those that come after the pause one is let through: the probe."""
        if not self._opened:
            return
        with self._lock:
            self.check()
            self._until = self._now() + PROBE_SECONDS

    def succeeded(self) -> None:
        """The server answered, whatever it said."""
        if self._faults or self._opened:
            with self._lock:
                self._faults = self._opened = 0

    def failed(self, why: str = "") -> None:
        """`why` is for logs and operators."""
        with self._lock:
            self._why = why
            self._faults += 1
            if self._faults < THRESHOLD and not self._opened:
                return
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._opened)
            self._opened += 1
            self._until = self._now() + pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers only
