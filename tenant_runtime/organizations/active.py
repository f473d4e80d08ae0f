"""What a session is in the middle of: one organization, and one of its teams. Each session by itself.

It opens nothing: whether the person still belongs there is asked in the unit that acts. Whoever leaves an
organization is put out of it in every session by `leaving`.
"""

from sqlalchemy import Connection, bindparam, case, select, update

from core.database import Prepared
from tenant_runtime.models import SessionContext

_c = SessionContext.__table__.c
_SET = Prepared(
    update(SessionContext.__table__)
    .where(_c.session_id == bindparam("session"))
    .values(
        active_organization_id=bindparam("organization"),
        active_team_id=bindparam("team"),
        updated_at=bindparam("now"),
    )
)
_ENTER = Prepared(
    update(SessionContext.__table__)
    .where(_c.session_id == bindparam("session"))
    .values(
        active_organization_id=bindparam("organization"),
        active_team_id=case((_c.active_organization_id == bindparam("organization"), _c.active_team_id)),
        updated_at=bindparam("now"),
    )
)
_LEAVE_TEAM = Prepared(
    update(SessionContext.__table__)
    .where(_c.session_id == bindparam("session"))
    .values(active_team_id=None, updated_at=bindparam("now"))
)
_GET = Prepared(select(_c.active_organization_id).where(_c.session_id == bindparam("session")))


def active_organization(connection: Connection, session_id: str) -> str | None:
    row = _GET.first(connection, {"session": session_id})
    return None if row is None else row.active_organization_id


def set_active(
    connection: Connection, session_id: str, organization_id: str | None, team_id: str | None, now: int
) -> None:
    """Both at once: another organization is one without the team of the first. That the person belongs to them is the
    caller's to ask, in the same unit."""
    values = {"session": session_id, "organization": organization_id, "team": team_id, "now": now}
    _SET.run(connection, values)


def enter(connection: Connection, session_id: str, organization_id: str, now: int) -> None:
    """Whoever is in it already stays in their team."""
    _ENTER.run(connection, {"session": session_id, "organization": organization_id, "now": now})


def leave_team(connection: Connection, session_id: str, now: int) -> None:
    """The session stays in the organization that it is in by now."""
    _LEAVE_TEAM.run(connection, {"session": session_id, "now": now})


def clear_active(connection: Connection, session_id: str, now: int) -> None:
    set_active(connection, session_id, None, None, now)
