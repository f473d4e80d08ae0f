"""Time, as an argument.

Columns hold whole milliseconds since the epoch, protocol claims hold seconds; both are UTC. Code that needs
the time is handed a `Clock`, so that a test can move it.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, UTC."""


class SystemClock:
    def now(self) -> float:
        return time.time()


def now_ms(clock: Clock) -> int:
    return int(clock.now() * 1000)


def to_iso(ms: int) -> str:
    """`2026-01-02T03:04:05.678Z`: always milliseconds, so that texts sort as times do."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).isoformat()  # several times as fast as strftime
    return f"{moment[:19]}.{ms % 1000:03d}Z"
