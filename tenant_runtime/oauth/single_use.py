"""What others made and what counts once: a client's assertion, a proof of possession.

Its id is claimed in the unit that acts on it, so that of two requests with the same one, in whatever process, one
acts. A unit that is undone gives the claim back with everything else: then nothing was done on its word.

What is over is removed by one claim of 256: machines prove themselves in tenants where nobody ever signs in. It is
kept for more than an hour beyond its end, because a clock that is set back makes it good again by its own word; and
what ended years ago is left alone, because a clock that is years ahead says so of what is good now.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select

from core.database import Prepared
from core.database.sql import insert
from core.errors import OAuthError
from core.ids import digest
from tenant_runtime.models import UsedId

_u = UsedId.__table__.c
_CLAIM = Prepared(
    insert(UsedId.__table__)
    .values(digest=bindparam("digest"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing()
    .returning(_u.digest)
)

_SWEEP_WHEN = "00"
_MOST = 1000
_KEPT_MS = 90 * 60_000
_YEARS_MS = 2 * 365 * 86_400_000
_over = (
    select(_u.digest)
    .where(_u.expires_at < bindparam("before"), _u.expires_at > bindparam("before") - _YEARS_MS)
    .limit(_MOST)
)
_SWEEP = Prepared(delete(UsedId.__table__).where(_u.digest.in_(_over)))


@dataclass(frozen=True, slots=True)
class SingleUse:
    """`digest` names the thing among all of this tenant; after `expires_at` (milliseconds) it is not accepted by
    itself. `error` is what its second use is answered with."""

    digest: str
    expires_at: int
    error: type[OAuthError]

    @classmethod
    def of(cls, kind: str, *names: str, expires_at: int, error: type[OAuthError]) -> "SingleUse":
        """`kind` and who made it are part of the name: equal ids of two makers are two things."""
        return cls(digest("\0".join((kind, *names))), expires_at, error)


def claim(connection: Connection, ids: Iterable[SingleUse]) -> None:
    for one in ids:
        if _CLAIM.first(connection, {"digest": one.digest, "expires_at": one.expires_at}) is None:
            raise one.error()
        if one.digest.startswith(_SWEEP_WHEN):
            sweep_used_ids(connection, one.expires_at)


def sweep_used_ids(connection: Connection, now: int) -> None:
    _SWEEP.run(connection, {"before": now - _KEPT_MS})
