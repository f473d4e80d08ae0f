"""Links and codes that let somebody do one thing, once."""

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase, owned_by


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


class LoginCode(TenantBase):
    """A code sent to an address, to sign in with there (passwordless). Short, so it is guessed at most a few times.

    `digest` is made with a key of the tenant's from connection, address and code: a short code's plain hash is none.
    """

    __tablename__ = "login_codes"
    __table_args__ = (
        Index("ix_login_codes_address", "connection_id", "address"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    connection_id: Mapped[str] = mapped_column(owned_by("connections.id"))
    address: Mapped[str]
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    digest: Mapped[str]
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Millis]
    expires_at: Mapped[Millis]
    used_at: Mapped[int | None] = mapped_column(BigInteger)
