"""How many members an organization's subscriptions are for.

Seats of all subscriptions that say how many are added up. An organization that never had such a one is as large as it
likes; one whose subscriptions have all ended keeps its members and takes no more.
"""

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from core.database import Prepared
from tenant_runtime.models import Subscription

LIVE = ("trialing", "active", "past_due")

_s = Subscription.__table__.c
IS_LIVE = and_(
    or_(*(_s.status == status for status in LIVE)),
    _s.starts_at <= bindparam("now"),
    or_(_s.ends_at.is_(None), _s.ends_at > bindparam("now")),
)
_SEATS = Prepared(
    select(
        func.count().label("of_any_time"),
        func.coalesce(func.sum(case((IS_LIVE, _s.seats), else_=0)), 0).label("seats"),
    ).where(_s.organization_id == bindparam("organization"), _s.seats.is_not(None))
)


def seats_of(connection: Connection, organization_id: str, now: int) -> int | None:
    """None: as many as it likes."""
    found = _SEATS.rows(connection, {"organization": organization_id, "now": now})[0]
    return None if found.of_any_time == 0 else int(found.seats)
