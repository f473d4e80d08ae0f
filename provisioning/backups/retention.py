"""How long scheduled backups are kept. A pure question of times; those taken by hand stay until somebody deletes them.

Kept are the newest one, always; everything of the last day; the newest of each of the last `daily` days that have
one; the newest of each of the last `weekly` weeks that have one. Days and weeks are UTC's.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

DAY_MS = 86_400_000

Taken = tuple[str, int]
"""A backup's id, and when it was taken."""


def expired(backups: Iterable[Taken], now: int, *, daily: int, weekly: int) -> list[str]:
    newest_first = sorted(backups, key=lambda taken: taken[1], reverse=True)
    kept = {id for id, taken_at in newest_first[:1]}
    kept |= {id for id, taken_at in newest_first if taken_at > now - DAY_MS}
    kept |= _newest_of_each(newest_first, _day, daily)
    kept |= _newest_of_each(newest_first, lambda day: _day(day).isocalendar()[:2], weekly)
    return [id for id, _ in newest_first if id not in kept]


def _newest_of_each(newest_first: Sequence[Taken], period: Callable[[int], Any], count: int) -> set[str]:
    seen: dict[Any, str] = {}
    for id, taken_at in newest_first:
        if len(seen) == count and period(taken_at) not in seen:
            break
        seen.setdefault(period(taken_at), id)
    return set(seen.values()) if count else set()


def _day(at: int) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).date()
