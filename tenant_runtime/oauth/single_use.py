"""What others made and what counts once: a client's assertion, a proof of possession.

Its id is claimed in the unit that acts on it, so that of two requests with the same one, in whatever process, one
acts. A unit that is undone gives the claim back with everything else: then nothing was done on its word.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert

from core.database import Prepared
from core.errors import OAuthError
from core.ids import digest
from tenant_runtime.models import UsedId

_u = UsedId.__table__.c
_CLAIM = Prepared(
    insert(UsedId.__table__)
    .prefix_with("OR IGNORE")
    .values(digest=bindparam("digest"), expires_at=bindparam("expires_at"))
    .returning(_u.digest)
)


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
