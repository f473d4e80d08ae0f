"""What a kind of remote database tells about itself, all its databases together: plain numbers, for metrics."""

import threading
from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(slots=True)
class Figures:
    """Counted on the event loop, but for `repeated`. No tenant is named."""

    failed: int = 0
    """Units whose caller was told of a fault of the network or the server."""

    refused_by_queue: int = 0
    refused_by_circuit: int = 0
    withdrawn: int = 0
    """Not begun within their deadline."""

    running: int = 0
    waiting: int = 0
    repeated: int = 0
    seconds: float = 0.0
    """From the moment a thread took a unit until its caller could be told, of all units."""

    in_bucket: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def took(self, seconds: float) -> None:
        self.in_bucket[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def repeat(self) -> None:
        with self._lock:
            self.repeated += 1
