"""Browser sessions of this tenant, and which clients took part in each."""

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, Millis, TenantBase, owned_by


class Session(TenantBase):
    """One browser's sign-on. The cookie holds a secret of which only the digest is here; `id` is the `sid` claim."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_user_id", "user_id"),
        Index("ix_sessions_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    token_digest: Mapped[str] = mapped_column(unique=True)
    issuer: Mapped[str]
    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"))
    authenticated_at: Mapped[Millis]
    amr: Mapped[JsonList]
    created_at: Mapped[Millis]
    seen_at: Mapped[Millis]
    idle_expires_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]


class SessionClient(TenantBase):
    __tablename__ = "session_clients"
    __table_args__ = {"sqlite_with_rowid": False}

    session_id: Mapped[str] = mapped_column(owned_by("sessions.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"), primary_key=True)


class SessionContext(TenantBase):
    """What a session is in the middle of, and how it was begun. `token` is the session's name to `/api/auth`: worth
    nothing without its signature in the cookie. `remembers`: whether its cookies outlive the browser."""

    __tablename__ = "session_contexts"
    __table_args__ = (
        Index("ix_session_contexts_active_organization_id", "active_organization_id"),
        Index("ix_session_contexts_active_team_id", "active_team_id"),
        {"sqlite_with_rowid": False},
    )

    session_id: Mapped[str] = mapped_column(owned_by("sessions.id"), primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    connection_id: Mapped[str | None]
    active_organization_id: Mapped[str | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="SET NULL")
    )
    active_team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id", ondelete="SET NULL"))
    remembers: Mapped[bool]
    updated_at: Mapped[Millis]


class FamilyLogin(TenantBase):
    """How the person logged in to whom a refresh token's family belongs: the session may be long gone."""

    __tablename__ = "family_logins"
    __table_args__ = {"sqlite_with_rowid": False}

    family_id: Mapped[str] = mapped_column(owned_by("refresh_families.id"), primary_key=True)
    connection_id: Mapped[str]
