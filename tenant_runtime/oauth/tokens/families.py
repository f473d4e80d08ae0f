"""Ending what was issued from one authorization.

A family is one authorization's code, refresh tokens and access tokens. A JWT names its family in the first part of
its `jti`. `revoked_families` is what this server looks at when it is shown an access token; it holds the id of a
whole family, or the `jti` of a single token.
"""

from sqlalchemy import Connection, bindparam, exists, insert, or_, select, update

from core.database.prepared import Prepared
from core.ids import new_secret
from tenant_runtime.models import RefreshFamily, RevokedFamily

_f, _v = RefreshFamily.__table__.c, RevokedFamily.__table__.c

_END_FAMILY = (
    update(RefreshFamily.__table__)
    .where(_f.id == bindparam("family"), _f.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
)
_REMEMBER = insert(RevokedFamily.__table__).from_select(
    ["family_id", "revoked_at", "reason"],
    select(bindparam("family"), bindparam("now"), bindparam("reason")).where(
        ~exists().where(_v.family_id == bindparam("family"))
    ),
)
REVOKED = or_(
    exists().where(_v.family_id.in_((bindparam("family_id"), bindparam("jti")))),
    exists().where(_f.id == bindparam("family_id"), _f.revoked_at.is_not(None)),
)
"""A condition on `family_id` and `jti`: the family or the one token was ended, by whoever ended it."""

_IS_REVOKED = Prepared(select(REVOKED))


def new_jti(family_id: str) -> str:
    return f"{family_id}.{new_secret(12)}"


def family_of(jti: str) -> str:
    return jti.partition(".")[0]


def end_family(connection: Connection, family_id: str, *, now_ms: int, reason: str) -> None:
    """No refresh token of the family works any more, and no access token is accepted here."""
    connection.execute(_END_FAMILY, {"family": family_id, "now": now_ms})
    refuse_tokens(connection, family_id, now_ms=now_ms, reason=reason)


def refuse_tokens(connection: Connection, family_id_or_jti: str, *, now_ms: int, reason: str) -> None:
    connection.execute(_REMEMBER, {"family": family_id_or_jti, "now": now_ms, "reason": reason})


def is_revoked(connection: Connection, jti: str) -> bool:
    """For whoever accepts an access token of this tenant: its family or it alone may have been ended."""
    row = _IS_REVOKED.first(connection, {"family_id": family_of(jti), "jti": jti})
    return row is None or bool(row[0])
