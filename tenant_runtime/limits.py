"""How often something may be asked for by name, counted in the tenant's database and so for every process: a place in
a window of time is claimed like any other single use. Places are taken in order, so the first free one is found by
halving. What one process may count by itself is in `registration.rates`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from core.database import Prepared
from core.database.sql import insert
from core.errors import RateLimited
from core.ids import digest
from tenant_runtime.models import UsedId

_CLAIM = Prepared(
    insert(UsedId.__table__)
    .values(digest=bindparam("digest"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing()
    .returning(UsedId.__table__.c.digest)
)
_TAKEN = Prepared(select(UsedId.__table__.c.digest).where(UsedId.__table__.c.digest == bindparam("digest")))


@dataclass(frozen=True, slots=True)
class Limit:
    count: int
    window_ms: int


def take(connection: Connection, kind: str, name: str, now: int, limits: Iterable[Limit]) -> None:
    """Raises, and so undoes the unit, where no place is left."""
    for limit in limits:
        window = _Window(kind, name, (now // limit.window_ms + 1) * limit.window_ms, limit.window_ms)
        if not any(
            _claim(connection, window, place) for place in _candidates(connection, window, limit.count)
        ):
            raise RateLimited(retry_after=-(-(window.ends_at - now) // 1000))


@dataclass(frozen=True, slots=True)
class _Window:
    kind: str
    name: str
    ends_at: int
    length_ms: int

    def place(self, number: int) -> str:
        about = ("limit", self.kind, self.name, str(self.ends_at), str(self.length_ms), str(number))
        return digest("\0".join(about))


def _candidates(connection: Connection, window: _Window, count: int) -> Iterator[int]:
    """The first place, which is what most get; then those from the first free one on."""
    yield 0
    low, high = 1, count
    while low < high:
        middle = (low + high) // 2
        if _TAKEN.first(connection, {"digest": window.place(middle)}) is None:
            high = middle
        else:
            low = middle + 1
    yield from range(low, count)


def _claim(connection: Connection, window: _Window, place: int) -> bool:
    values = {"digest": window.place(place), "expires_at": window.ends_at}
    return _CLAIM.first(connection, values) is not None
