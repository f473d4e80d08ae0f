"""Who was turned away, put out, or has left: they come in again if somebody lets them, and never by signing in.

Without it an organization that takes everybody with an address of its own could put nobody out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, String, bindparam, delete, exists, literal, null, or_, select

from core.database import Prepared
from core.database.sql import insert
from core.ids import digest
from tenant_runtime.models import JoinRequest, Organization, User

REJECTED, REMOVED = "rejected", "removed"

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


def was_turned_away(connection: Connection, organization_id: str, user_id: str) -> bool:
    return _WAS.first(connection, {"organization": organization_id, "user": user_id}) is not None


def forget_earlier(connection: Connection, organization_id: str, user_id: str) -> None:
    """Before it is written down anew: once is enough, however often somebody comes and goes."""
    connection.execute(_FORGET, {"organization": organization_id, "user": user_id})


def remember_removal(connection: Connection, organization_id: str, user_id: str, now: int) -> None:
    """Of a person and an organization that both stay."""
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
