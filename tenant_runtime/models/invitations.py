"""Who is asked into an organization, and who asks."""

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, JsonObject, Millis, TenantBase, owned_by

_PENDING = text("status = 'pending'")


class Invitation(TenantBase):
    """`status`: pending, accepted, rejected, canceled; that one has run its time is computed. `role` and `team_ids` are
    lists joined by commas, as the wire has them; `tenant_roles` are ids of roles. `link_digest` is that of the secret
    in the letter: who shows it reads that address's mail."""

    __tablename__ = "invitations"
    __table_args__ = (
        Index("ix_invitations_created", "organization_id", "created_at", "id"),
        Index("ix_invitations_email", "email"),
        Index("ix_invitations_inviter_id", "inviter_id"),
        Index("ix_invitations_expires_at", "expires_at"),
        Index(
            "ix_invitations_pending",
            "organization_id",
            "email",
            unique=True,
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    email: Mapped[str]  # lower-case
    role: Mapped[str | None]
    team_ids: Mapped[str | None]
    tenant_roles: Mapped[JsonList]
    status: Mapped[str]
    inviter_id: Mapped[str | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    inviter_name: Mapped[str | None]
    client_id: Mapped[str | None]
    connection_id: Mapped[str | None]
    user_metadata: Mapped[JsonObject]
    app_metadata: Mapped[JsonObject]
    fields: Mapped[JsonObject]
    link_digest: Mapped[str | None] = mapped_column(unique=True)
    accepted_by: Mapped[str | None]
    expires_at: Mapped[Millis]
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class JoinRequest(TenantBase):
    """Somebody who may ask wants to become a member. `status`: pending, approved, rejected, canceled; or removed, of
    somebody who was a member and is none any more."""

    __tablename__ = "join_requests"
    __table_args__ = (
        Index("ix_join_requests_created", "organization_id", "created_at", "id"),
        Index("ix_join_requests_user_id", "user_id"),
        Index("ix_join_requests_decided", "status", "decided_at"),
        Index(
            "ix_join_requests_pending",
            "organization_id",
            "user_id",
            unique=True,
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(owned_by("organizations.id"))
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    message: Mapped[str | None]
    status: Mapped[str]
    decided_by: Mapped[str | None]
    created_at: Mapped[Millis]
    decided_at: Mapped[int | None] = mapped_column(BigInteger)
