"""Connections: the ways to log in to this tenant."""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase, owned_by


class Connection(TenantBase):
    """A way to log in. `strategy` is `auth0` for the tenant's own database of users. Secrets are sealed."""

    __tablename__ = "connections"
    __table_args__ = (Index("ix_connections_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    strategy: Mapped[str]
    display_name: Mapped[str | None]
    options: Mapped[JsonObject]
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    metadata_: Mapped[JsonObject] = mapped_column("metadata")
    is_domain_connection: Mapped[bool] = mapped_column(default=False)
    enabled_for_all_clients: Mapped[bool] = mapped_column(default=True)
    is_system: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class ConnectionClient(TenantBase):
    """A client that may use a connection that is not enabled for all."""

    __tablename__ = "connection_clients"
    __table_args__ = {"sqlite_with_rowid": False}

    connection_id: Mapped[str] = mapped_column(owned_by("connections.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"), primary_key=True)
