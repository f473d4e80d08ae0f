"""Time, as an argument.

Columns hold whole milliseconds since the epoch, protocol claims hold seconds; both are UTC. Code that needs
the time is handed a `Clock`, so that a test can move it.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

LEEWAY_MS = 60_000
"""How far two machines' clocks may be apart, and one may be set back, before it shows."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, UTC."""


class SystemClock:
    def now(self) -> float:
        return time.time()


def now_ms(clock: Clock) -> int:
    return int(clock.now() * 1000)


def next_second(ms: int) -> int:
    """For what ends now: tokens tell whole seconds, and nobody knows which of this one came before."""
    return (ms // 1000 + 1) * 1000


def to_iso(ms: int) -> str:
    """`2026-01-02T03:04:05.678Z`: always milliseconds, so that texts sort as times do."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(4096)
def _second(seconds: int) -> str:
    """Lists show the same moments again and again, and the creation and the change of a row in one second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]  # several times as fast as strftime
