"""What a kind of remote database tells about itself, all its databases together: plain numbers, for metrics."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """Counted on the event loop, but for `repeated`. No tenant is named."""

    units: int = 0
    failed: int = 0
    """Units whose caller was told of a fault of the network or the server."""

    refused_by_queue: int = 0
    refused_by_breaker: int = 0
    withdrawn: int = 0
    """Not begun within their deadline."""

    running: int = 0
    waiting: int = 0
    seconds: float = 0.0
    """From the moment a thread took a unit until its caller could be told, of all units."""

    repeated: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def repeat(self) -> None:
        with self._lock:
            self.repeated += 1
