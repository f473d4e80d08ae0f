"""Who is told outside of what happens: log streams, event streams, and the changes that the latter tell of."""

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, JsonObject, Millis, TenantBase


class LogStream(TenantBase):
    """A reader of `log_events` that keeps its place: everything up to `position` has arrived, or does not concern it.

    `status`: active, paused, suspended (given up after a day, `last_error` says why). While it fails, `due_at` is the
    next try; whoever sends holds it until `leased_until`. `secrets` is JSON, sealed for (`log_streams`, `secrets`, id).
    """

    __tablename__ = "log_streams"
    __table_args__ = (Index("ix_log_streams_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    type: Mapped[str]
    status: Mapped[str]
    sink: Mapped[JsonObject]
    filters: Mapped[JsonList]
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    position: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[int | None] = mapped_column(BigInteger)
    leased_until: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str | None]
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class EventStream(TenantBase):
    """A reader of `changes`: those up to `position` are among the deliveries, or do not concern it. `status`: enabled,
    disabled. `secrets` is JSON, sealed for (`event_streams`, `secrets`, id)."""

    __tablename__ = "event_streams"
    __table_args__ = (Index("ix_event_streams_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    status: Mapped[str]
    subscriptions: Mapped[JsonList]
    destination: Mapped[JsonObject]
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    position: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class Change(TenantBase):
    """Something became, changed or went: written in the transaction that did it, by a trigger where one row says it,
    while anybody is to be told. `data` are the row's columns as they were then. `sequence` is as that of
    `log_events`."""

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_sequence", "sequence"),
        Index("ix_changes_created_at", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str]
    data: Mapped[JsonObject]
    created_at: Mapped[Millis]
