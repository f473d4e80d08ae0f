"""Tickets: links that let somebody do one thing, once."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase


class Ticket(TenantBase):
    """What a link's secret stands for. `kind` is part of every look-up: a ticket of one kind is none of another."""

    __tablename__ = "tickets"
    __table_args__ = {"sqlite_with_rowid": False}

    digest: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payload: Mapped[JsonObject]
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    used_at: Mapped[int | None] = mapped_column(BigInteger)
