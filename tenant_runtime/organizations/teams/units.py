"""Units of work on teams and their members."""

from sqlalchemy import Connection, insert

from core.ids import new_id
from tenant_runtime.models import Team, TeamMember

TEAM, TEAM_MEMBER = "team", "tmm"


def create_default_team(
    connection: Connection, id: str, member_id: str, organization_id: str, name: str, user_id: str, now: int
) -> None:
    """The one that a new organization has, with its creator in it."""
    team = {"id": id, "organization_id": organization_id, "name": name, "fields": {}, "created_at": now}
    connection.execute(insert(Team.__table__), {**team, "updated_at": None})
    member = {"id": member_id, "team_id": id, "user_id": user_id, "created_at": now}
    connection.execute(insert(TeamMember.__table__), member)


def new_team_ids() -> tuple[str, str]:
    """Of a team, and of a member in it."""
    return new_id(TEAM), new_id(TEAM_MEMBER)
