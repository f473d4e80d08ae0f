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
    """Counts in windows that begin with the first time. Of each rate the longest unseen are forgotten first: who makes
    up a thousand names of one kind makes nobody forget another."""

    def __init__(self) -> None:
        self._seen: dict[Rate, OrderedDict[tuple[str, ...], tuple[int, int]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def count(self, rate: Rate, key: tuple[str, ...], now_ms: int) -> None:
        """Raises `RateLimited` beyond the rate; what was refused does not count."""
        seen = self._seen.setdefault(rate, OrderedDict())
        began, times = seen.pop(key, (now_ms, 0))
        ends = began + rate.seconds * 1000
        if not began <= now_ms < ends:
            began, times, ends = now_ms, 0, now_ms + rate.seconds * 1000
        is_refused = times >= rate.most
        seen[key] = (began, times if is_refused else times + 1)
        if len(seen) > REMEMBERED:
            seen.popitem(last=False)
        if is_refused:
            raise RateLimited(retry_after=max(1, -(-(ends - now_ms) // 1000)))
