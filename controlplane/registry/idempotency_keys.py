"""The first answers to requests that carried an `Idempotency-Key`, kept for a day.

A row without a status is a request whose answer is not known yet. One of a creation names the tenant that was made
in the same transaction, so whoever comes after a crash can tell the answer; any other is a claim that ends by itself
soon, because what it stands for may be repeated.
"""

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update

from controlplane.models import RegistryBase
from core.database.sql import insert
from core.errors import Conflict, Unprocessable
from core.http.idempotency import KEPT_MS
from core.tenants import RequestKey

_KEYS = RegistryBase.metadata.tables["idempotency_keys"]
_IS_CLAIM = and_(_KEYS.c.status.is_(None), _KEYS.c.body.is_(None))
_FIND = select(_KEYS).where(
    _KEYS.c.digest == bindparam("of"),
    _KEYS.c.expires_at > bindparam("now"),
    ~and_(_IS_CLAIM, _KEYS.c.expires_at > bindparam("now") + KEPT_MS),
)
_EXPIRE = delete(_KEYS).where(
    or_(
        _KEYS.c.expires_at <= bindparam("now"),
        and_(_IS_CLAIM, _KEYS.c.expires_at > bindparam("now") + KEPT_MS),
    )
)
"""A claim that would last longer than an answer was made while the clock was ahead. Answers are kept then: telling one
for too long does less harm than doing the same thing twice."""

_CLAIM = insert(_KEYS).on_conflict_do_nothing()
_RELEASE = delete(_KEYS).where(_KEYS.c.digest == bindparam("of"), _KEYS.c.status.is_(None))
_KEEP = (
    update(_KEYS)
    .where(_KEYS.c.digest == bindparam("of"), _KEYS.c.status.is_(None))
    .values(status=bindparam("s"), body=bindparam("b"), expires_at=bindparam("until"))
)


class KeyInUse(Conflict):
    """Another request with this key has begun: it makes what this one was about to make."""

    code, description = "request_in_progress", "A request with this Idempotency-Key is in progress."


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int | None
    body: bytes | None


def find_answer(connection: Connection, key: RequestKey, now: int) -> KeptAnswer | None:
    row = connection.execute(_FIND, {"of": key.digest, "now": now}).first()
    if row is None:
        return None
    if row.request_digest != key.request_digest:
        raise Unprocessable("This Idempotency-Key was used with another request.")
    return KeptAnswer(status=row.status, body=row.body)


def claim_key(connection: Connection, key: RequestKey, now: int) -> None:
    connection.execute(_EXPIRE, {"now": now})
    values = {
        "digest": key.digest,
        "request_digest": key.request_digest,
        "body": key.made,
        "created_at": now,
        "expires_at": key.expires_at,
    }
    if connection.execute(_CLAIM, values).rowcount != 1:
        raise KeyInUse


def claim_or_find(connection: Connection, key: RequestKey, now: int) -> KeptAnswer | None:
    """None when the key is ours now."""
    found = find_answer(connection, key, now)
    if found is None:
        claim_key(connection, key, now)
    elif found.status is None:
        raise KeyInUse
    return found


def keep_answer(
    connection: Connection, key: RequestKey, now: int, *, status: int, body: bytes, until: int
) -> KeptAnswer:
    """The first to tell is the one that is kept, and answered to all."""
    connection.execute(_KEEP, {"of": key.digest, "s": status, "b": body, "until": until})
    return find_answer(connection, key, now) or KeptAnswer(status=status, body=body)


def release_key(connection: Connection, key: RequestKey) -> None:
    """The request was refused, and changed nothing: the key may be used again."""
    connection.execute(_RELEASE, {"of": key.digest})
