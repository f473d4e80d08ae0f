"""Who was turned away, put out, or has left: they come in again if somebody lets them, and never by signing in.

Without it an organization that takes everybody with an address of its own could put nobody out. Another account with
the same address is no way around: for a year a digest of a proved address is kept, made with a key of the tenant's,
which says nothing without it and is read by nothing else.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Connection, String, bindparam, delete, exists, literal, null, or_, select

from core.crypto.sealing import DataKey
from core.database import Prepared
from core.database.sql import insert
from core.ids import digest
from tenant_runtime.models import JoinRequest, Organization, UsedId, User

REJECTED, REMOVED = "rejected", "removed"
PURPOSE = "addresses that were turned away"
KEPT_MS = 365 * 86_400_000

_j, _o, _u = (model.__table__.c for model in (JoinRequest, Organization, User))
_THAT = (
    _j.organization_id == bindparam("organization"),
    _j.user_id == bindparam("user"),
    or_(_j.status == REJECTED, _j.status == REMOVED),
)
_WAS = Prepared(select(_j.id).where(*_THAT).limit(1))
_ALL = select(JoinRequest.__table__).where(or_(_j.status == REJECTED, _j.status == REMOVED))
_ONE = delete(JoinRequest.__table__).where(_j.id == bindparam("of"))
_BOTH_STAND = select(
    exists().where(_o.id == bindparam("organization")) & exists().where(_u.user_id == bindparam("user"))
)
_FORGET = delete(JoinRequest.__table__).where(*_THAT)
_ADDRESS = Prepared(select(_u.email).where(_u.user_id == bindparam("user"), _u.email_verified.is_(True)))
_used = UsedId.__table__.c
_KEPT = Prepared(
    select(_used.digest).where(_used.digest == bindparam("digest"), _used.expires_at > bindparam("now"))
)
_new = insert(UsedId.__table__)
_KEEP = _new.on_conflict_do_update(index_elements=["digest"], set_={"expires_at": _new.excluded.expires_at})
_COLUMNS = (
    "id",
    "organization_id",
    "user_id",
    "message",
    "status",
    "decided_by",
    "created_at",
    "decided_at",
)


def was_turned_away(
    connection: Connection, data_key: DataKey, organization_id: str, user_id: str, now: int
) -> bool:
    if _WAS.first(connection, {"organization": organization_id, "user": user_id}) is not None:
        return True
    address = _address(connection, data_key, organization_id, user_id)
    return address is not None and _KEPT.first(connection, {"digest": address, "now": now}) is not None


def forget_earlier(connection: Connection, organization_id: str, user_id: str) -> None:
    """Before it is written down anew: once is enough, however often somebody comes and goes."""
    connection.execute(_FORGET, {"organization": organization_id, "user": user_id})


def remember_address(
    connection: Connection, data_key: DataKey, organization_id: str, user_id: str, now: int
) -> None:
    address = _address(connection, data_key, organization_id, user_id)
    if address is not None:
        connection.execute(_KEEP, {"digest": address, "expires_at": now + KEPT_MS})


def remember_removal(
    connection: Connection, data_key: DataKey, organization_id: str, user_id: str, now: int
) -> None:
    """Of a person and an organization that both stay."""
    remember_address(connection, data_key, organization_id, user_id, now)
    forget_earlier(connection, organization_id, user_id)
    name = digest(f"{organization_id} {user_id} {now}")[:16]
    row = select(
        literal(f"jrq_{name}"),
        _o.id,
        _u.user_id,
        null(),
        literal(REMOVED, String),
        null(),
        literal(now, BigInteger),
        literal(now, BigInteger),
    ).where(_o.id == organization_id, _u.user_id == user_id)
    row = row.where(~exists().where(_j.id == f"jrq_{name}"))
    connection.execute(insert(JoinRequest.__table__).from_select(_COLUMNS, row))


def _address(connection: Connection, data_key: DataKey, organization_id: str, user_id: str) -> str | None:
    """None where there is none that is proved: by another no address opens anything, and nobody is kept out by it."""
    row = _ADDRESS.first(connection, {"user": user_id})
    if row is None or row.email is None:
        return None
    about = f"{organization_id}\0{_mailbox(row.email)}".encode()
    return hmac.new(data_key.derive(PURPOSE), about, sha256).hexdigest()


def _mailbox(email: str) -> str:
    """Without a detail (RFC 5233), which its owner writes behind a `+` as they like."""
    local, _, domain = email.rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def turned_away_in(connection: Connection) -> Sequence[Mapping[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(_ALL)]


def bring_over(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Into a database that was put back as it was: of the people and organizations that it has."""
    for row in rows:
        organization_id, user_id = row["organization_id"], row["user_id"]
        known = {"organization": organization_id, "user": user_id}
        if not connection.execute(_BOTH_STAND, known).scalar_one():
            continue
        connection.execute(_ONE, {"of": row["id"]})
        forget_earlier(connection, organization_id, user_id)
        connection.execute(insert(JoinRequest.__table__), row)
