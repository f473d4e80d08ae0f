"""A team and its members, as units pass them on and as the wire shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from core.database import Prepared
from tenant_runtime.models import Team as TeamRow
from tenant_runtime.models import TeamMember as TeamMemberRow
from tenant_runtime.organizations.fields import shown
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.errors import refusal
from tenant_runtime.organizations.wire.shapes import date, date_or_none

t, m = TeamRow.__table__.c, TeamMemberRow.__table__.c
COLUMNS = (t.id, t.organization_id, t.name, t.fields, t.created_at, t.updated_at)
_ONE = Prepared(select(*COLUMNS).where(t.id == bindparam("team")))
_ALL = Prepared(
    select(*COLUMNS)
    .where(t.organization_id == bindparam("organization"))
    .order_by(t.organization_id, t.created_at, t.id)
)
_NUMBER = Prepared(select(func.count().label("number")).where(t.organization_id == bindparam("organization")))
_MEMBER = Prepared(
    select(m.id, m.team_id, m.user_id, m.created_at).where(
        m.team_id == bindparam("team"), m.user_id == bindparam("user")
    )
)


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    organization_id: str
    name: str
    fields: Mapping[str, Any]
    created_at: int
    updated_at: int | None

    def shown(self, options: OrganizationOptions) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "organizationId": self.organization_id,
            "createdAt": date(self.created_at),
            "updatedAt": date_or_none(self.updated_at),
            **shown(options.fields("team"), self.fields),
        }


@dataclass(frozen=True, slots=True)
class TeamMember:
    id: str
    team_id: str
    user_id: str
    created_at: int

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "teamId": self.team_id,
            "userId": self.user_id,
            "createdAt": date(self.created_at),
        }


def team_of(connection: Connection, team_id: str) -> Team | None:
    row = _ONE.first(connection, {"team": team_id})
    return None if row is None else Team(**row._asdict())


def team_in(connection: Connection, organization_id: str, team_id: str) -> Team:
    """Another organization's is as unknown as one that never was."""
    team = team_of(connection, team_id)
    if team is None or team.organization_id != organization_id:
        raise refusal(400, "TEAM_NOT_FOUND")
    return team


def teams_of(connection: Connection, organization_id: str) -> list[Team]:
    return [Team(*row) for row in _ALL.rows(connection, {"organization": organization_id})]


def number_of_teams(connection: Connection, organization_id: str) -> int:
    return int(_NUMBER.rows(connection, {"organization": organization_id})[0].number)


def team_member(connection: Connection, team_id: str, user_id: str) -> TeamMember | None:
    row = _MEMBER.first(connection, {"team": team_id, "user": user_id})
    return None if row is None else TeamMember(**row._asdict())
