"""How often something may be asked for by name, counted in the tenant's database and so for every process: a place in
a window of time is claimed like any other single use. What one process may count by itself is in `registration.rates`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam

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


@dataclass(frozen=True, slots=True)
class Limit:
    count: int
    window_ms: int


def take(connection: Connection, kind: str, name: str, now: int, limits: Iterable[Limit]) -> None:
    """Raises, and so undoes the unit, where no place is left."""
    for limit in limits:
        ends_at = (now // limit.window_ms + 1) * limit.window_ms
        for place in range(limit.count):
            taken = digest("\0".join(("limit", kind, name, str(ends_at), str(limit.window_ms), str(place))))
            if _CLAIM.first(connection, {"digest": taken, "expires_at": ends_at}) is not None:
                break
        else:
            raise RateLimited(retry_after=-(-(ends_at - now) // 1000))
