"""The tenant's log of events, and remembered answers of repeated requests."""

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase


class LogEvent(TenantBase):
    """One event, `type` by Auth0's codes (s, f, fp, seccft, sapi, ...). Secrets are masked before they get here.

    `sequence` is the order of commits, given by a trigger: what reads on from a place misses nothing that was written
    late. The newest row is never removed, so that no number comes twice.
    """

    __tablename__ = "log_events"
    __table_args__ = (
        Index("ix_log_events_created", "created_at", "id"),
        Index("ix_log_events_user_id", "user_id", "created_at"),
        Index("ix_log_events_sequence", "sequence"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    created_at: Mapped[Millis]
    description: Mapped[str | None]
    client_id: Mapped[str | None]
    client_name: Mapped[str | None]
    user_id: Mapped[str | None]
    user_name: Mapped[str | None]
    organization_id: Mapped[str | None]
    connection: Mapped[str | None]
    audience: Mapped[str | None]
    scope: Mapped[str | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]
    request_id: Mapped[str | None]
    details: Mapped[JsonObject]
    sequence: Mapped[int | None] = mapped_column(BigInteger)


class IdempotencyKey(TenantBase):
    """The first answer to an `Idempotency-Key`, sealed, kept 24 hours. `status` is null while in progress."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_expires_at", "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)  # of caller and key
    request_digest: Mapped[str]  # of method, path and body
    status: Mapped[int | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[Millis]
    expires_at: Mapped[int] = mapped_column(BigInteger)
