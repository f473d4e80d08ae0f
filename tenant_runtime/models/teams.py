"""What an organization is divided into, and the roles that it made for itself."""

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase, owned_by


class Team(TenantBase):
    __tablename__ = "teams"
    __table_args__ = (Index("ix_teams_created", "organization_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    name: Mapped[str]
    fields: Mapped[JsonObject]
    created_at: Mapped[Millis]
    updated_at: Mapped[int | None] = mapped_column(BigInteger)


class TeamMember(TenantBase):
    """Of a team of an organization to which the user belongs: who leaves that, leaves its teams."""

    __tablename__ = "team_members"
    __table_args__ = (
        UniqueConstraint("team_id", "user_id"),
        Index("ix_team_members_user_id", "user_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(owned_by("teams.id"))
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    created_at: Mapped[Millis]


class OrganizationRole(TenantBase):
    """A role that an organization defined: `permission` is an object of resource -> actions."""

    __tablename__ = "organization_roles"
    __table_args__ = (UniqueConstraint("organization_id", "role"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    role: Mapped[str]  # lower-case
    permission: Mapped[JsonObject]
    fields: Mapped[JsonObject]
    created_at: Mapped[Millis]
    updated_at: Mapped[int | None] = mapped_column(BigInteger)
