"""Browser sessions of this tenant, and which clients took part in each."""

from sqlalchemy import BigInteger, Index
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
