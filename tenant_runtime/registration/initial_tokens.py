"""Initial access tokens (RFC 7591 section 1.2): who has one may register clients, so many and until then.

A row of `tickets`, found by the digest of the token; its payload says how often it may still be used.
"""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from core.errors import InvalidToken
from tenant_runtime.expiry import Lapsing, is_current
from tenant_runtime.models import Ticket

KIND = "client_registration"

_t = Ticket.__table__.c
_OF_KIND = _t.kind == KIND
_GOOD = (_OF_KIND, is_current(Ticket.__table__), _t.used_at.is_(None))
lapsing = Lapsing(Ticket.__table__, _OF_KIND)
_INSERT = insert(Ticket.__table__)
_FIND = select(_t.payload).where(_t.digest == bindparam("token"), *_GOOD)
_USE = (
    update(Ticket.__table__)
    .where(_t.digest == bindparam("token"), *_GOOD)
    .values(payload=bindparam("left"), used_at=bindparam("used"))
)
_LIST = select(_t.payload, _t.created_at, _t.expires_at).where(*_GOOD).order_by(_t.created_at)
_REMOVE_OVER = delete(Ticket.__table__).where(_OF_KIND, _t.expires_at <= bindparam("now"))


def store(
    connection: Connection, *, token_digest: str, id: str, uses: int, now_ms: int, expires_at: int
) -> None:
    connection.execute(_REMOVE_OVER, {"now": now_ms})
    row = {
        "digest": token_digest,
        "kind": KIND,
        "payload": {"id": id, "uses": uses, "remaining": uses},
        "created_at": now_ms,
        "expires_at": expires_at,
    }
    connection.execute(_INSERT, row)


def require_good(connection: Connection, token_digest: str, now_ms: int) -> None:
    if connection.execute(_FIND, {"token": token_digest, "now": now_ms}).first() is None:
        raise InvalidToken


def use(connection: Connection, token_digest: str, now_ms: int) -> None:
    """One use less, in the unit that registers: what is refused there costs none."""
    payload: dict[str, Any] | None = connection.execute(
        _FIND, {"token": token_digest, "now": now_ms}
    ).scalar_one_or_none()
    if payload is None:
        raise InvalidToken
    left = {**payload, "remaining": payload["remaining"] - 1}
    used = now_ms if left["remaining"] < 1 else None
    connection.execute(_USE, {"token": token_digest, "now": now_ms, "left": left, "used": used})


def good_ones(connection: Connection, now_ms: int) -> list[Row[Any]]:
    return list(connection.execute(_LIST, {"now": now_ms}))


def remove(connection: Connection, id: str) -> bool:
    removal = delete(Ticket.__table__).where(_OF_KIND, _t.payload["id"].as_string() == id)
    return connection.execute(removal).rowcount > 0
