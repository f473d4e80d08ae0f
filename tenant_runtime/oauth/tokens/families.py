"""Ending what was issued from one authorization.

A family is one authorization's code, refresh tokens and access tokens. A JWT names its family in the first part of
its `jti`. `revoked_families` is what this server looks at when it is shown an access token; it holds the id of a
whole family, the `jti` of a single token, or the name of what tokens rest on (`core.given`): a consent, a membership,
a client's grant, which is over for what was issued before.
"""

from sqlalchemy import Connection, String, bindparam, exists, insert, or_, select, update

from core.database.prepared import Prepared
from core.database.sql import greater
from core.database.sql import insert as upsert
from core.ids import new_secret
from tenant_runtime.models import RefreshFamily, RevokedFamily

_f, _v = RefreshFamily.__table__.c, RevokedFamily.__table__.c

_END_FAMILY = Prepared(
    update(RefreshFamily.__table__)
    .where(_f.id == bindparam("family"), _f.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
)
_REMEMBER = Prepared(
    insert(RevokedFamily.__table__).from_select(
        ["family_id", "revoked_at", "reason"],
        select(bindparam("family"), bindparam("now"), bindparam("reason")).where(
            ~exists().where(_v.family_id == bindparam("family"))
        ),
    )
)
_WITHDRAW = upsert(RevokedFamily.__table__).values(
    family_id=bindparam("given"), revoked_at=bindparam("now"), reason=bindparam("reason")
)
_WITHDRAW = _WITHDRAW.on_conflict_do_update(
    index_elements=[_v.family_id], set_={"revoked_at": greater(_v.revoked_at, _WITHDRAW.excluded.revoked_at)}
)
_GIVE_AGAIN = (
    update(RevokedFamily.__table__)
    .where(_v.family_id == bindparam("given"), _v.revoked_at > bindparam("now"))
    .values(revoked_at=bindparam("now"))
)
_GIVEN = (bindparam("consent", type_=String), bindparam("membership", type_=String))
REVOKED = or_(
    exists().where(
        _v.family_id.in_((bindparam("family_id"), bindparam("jti"), *_GIVEN)),
        or_(_v.family_id.not_in(_GIVEN), _v.revoked_at > bindparam("issued_at")),
    ),
    exists().where(_f.id == bindparam("family_id"), _f.revoked_at.is_not(None)),
)
"""A condition on `family_id`, `jti`, and `consent` and `membership` with `issued_at` (milliseconds): the family or the
one token was ended, by whoever ended it, the consent withdrawn since, or the membership ended since."""

_IS_REVOKED = Prepared(select(REVOKED))


def new_jti(family_id: str) -> str:
    return f"{family_id}.{new_secret(12)}"


def family_of(jti: str) -> str:
    return jti.partition(".")[0]


def end_family(connection: Connection, family_id: str, *, now_ms: int, reason: str) -> None:
    """No refresh token of the family works any more, and no access token is accepted here."""
    _END_FAMILY.run(connection, {"family": family_id, "now": now_ms})
    refuse_tokens(connection, family_id, now_ms=now_ms, reason=reason)


def refuse_tokens(connection: Connection, family_id_or_jti: str, *, now_ms: int, reason: str) -> None:
    _REMEMBER.run(connection, {"family": family_id_or_jti, "now": now_ms, "reason": reason})


def withdraw(connection: Connection, given: str, *, now_ms: int, reason: str) -> None:
    """What was issued on that until now is not accepted here any more."""
    connection.execute(_WITHDRAW, {"given": given, "now": now_ms, "reason": reason})


def give_again(connection: Connection, given: str, *, now_ms: int) -> None:
    """What was withdrawn while the clock was ahead holds from now on, not from then."""
    connection.execute(_GIVE_AGAIN, {"given": given, "now": now_ms})


def is_revoked(
    connection: Connection, jti: str, *, consent: str = "", membership: str = "", issued_at: int = 0
) -> bool:
    """For whoever accepts an access token of this tenant: its family or it alone may have been ended, or what it rests
    on. `membership`: of a client in its own name its grant. `issued_at` in milliseconds, the last of its second."""
    known = {
        "family_id": family_of(jti),
        "jti": jti,
        "consent": consent,
        "membership": membership,
        "issued_at": issued_at,
    }
    row = _IS_REVOKED.first(connection, known)
    return row is None or bool(row[0])
