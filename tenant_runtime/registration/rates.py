"""How often something happened lately, in this process: for what strangers may do only so often."""

from collections import OrderedDict
from dataclasses import dataclass

from core.errors import RateLimited

REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    most: int
    seconds: int


class Rates:
    """Counts in windows that begin with the first time; the longest unseen are forgotten first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, ...], tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def count(self, rate: Rate, key: tuple[str, ...], now_ms: int) -> None:
        """Raises `RateLimited` beyond the rate; what was refused does not count."""
        began, times = self._seen.pop(key, (now_ms, 0))
        ends = began + rate.seconds * 1000
        if not began <= now_ms < ends:
            began, times, ends = now_ms, 0, now_ms + rate.seconds * 1000
        is_refused = times >= rate.most
        self._seen[key] = (began, times if is_refused else times + 1)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if is_refused:
            raise RateLimited(retry_after=max(1, -(-(ends - now_ms) // 1000)))
