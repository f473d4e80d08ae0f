"""Who may do what: resource servers with scopes, roles with permissions, and what users hold."""

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, JsonObject, Millis, TenantBase, owned_by


class ResourceServer(TenantBase):
    """An API. `is_management` marks the tenant's own Management API, which is never a copy.

    `labels` (tenant one only): which tenants it goes to; empty means all.
    """

    __tablename__ = "resource_servers"
    __table_args__ = (Index("ix_resource_servers_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    identifier: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    signing_alg: Mapped[str] = mapped_column(default="RS256")
    token_lifetime: Mapped[int] = mapped_column(default=86400)  # seconds
    token_lifetime_for_web: Mapped[int] = mapped_column(default=7200)  # seconds
    allow_offline_access: Mapped[bool] = mapped_column(default=False)
    enforce_policies: Mapped[bool] = mapped_column(default=False)
    token_dialect: Mapped[str] = mapped_column(default="access_token")
    skip_consent_for_verifiable_first_party_clients: Mapped[bool] = mapped_column(default=True)
    metadata_: Mapped[JsonObject] = mapped_column("metadata")
    attributes: Mapped[JsonObject]  # what Auth0's clients write and this server does not act on
    labels: Mapped[JsonList]
    is_management: Mapped[bool] = mapped_column(default=False)
    is_system: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class Scope(TenantBase):
    """A permission an API defines. `is_platform`: reaches across tenants, never leaves tenant one."""

    __tablename__ = "scopes"
    __table_args__ = {"sqlite_with_rowid": False}

    resource_server_id: Mapped[str] = mapped_column(owned_by("resource_servers.id"), primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    position: Mapped[int] = mapped_column(default=0)
    is_platform: Mapped[bool] = mapped_column(default=False)


class Role(TenantBase):
    __tablename__ = "roles"
    __table_args__ = (Index("ix_roles_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    metadata_: Mapped[JsonObject] = mapped_column("metadata")
    labels: Mapped[JsonList]
    is_system: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class RolePermission(TenantBase):
    """A permission that a role grants. Goes away with the role, the API or the scope."""

    __tablename__ = "role_permissions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["resource_server_id", "permission"],
            ["scopes.resource_server_id", "scopes.value"],
            ondelete="CASCADE",
            name="fk_role_permissions_scope",
        ),
        Index("ix_role_permissions_scope", "resource_server_id", "permission"),
        {"sqlite_with_rowid": False},
    )

    role_id: Mapped[str] = mapped_column(owned_by("roles.id"), primary_key=True)
    resource_server_id: Mapped[str] = mapped_column(primary_key=True)
    permission: Mapped[str] = mapped_column(primary_key=True)


class UserRole(TenantBase):
    """A role held by a user in the tenant as a whole (in an organization: `MembershipRole`)."""

    __tablename__ = "user_roles"
    __table_args__ = (
        Index("ix_user_roles_role_id", "role_id", "created_at", "user_id"),
        {"sqlite_with_rowid": False},
    )

    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"), primary_key=True)
    role_id: Mapped[str] = mapped_column(owned_by("roles.id"), primary_key=True)
    created_at: Mapped[Millis]


class UserPermission(TenantBase):
    """A permission given to a user directly."""

    __tablename__ = "user_permissions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["resource_server_id", "permission"],
            ["scopes.resource_server_id", "scopes.value"],
            ondelete="CASCADE",
            name="fk_user_permissions_scope",
        ),
        Index("ix_user_permissions_scope", "resource_server_id", "permission"),
        {"sqlite_with_rowid": False},
    )

    user_id: Mapped[str] = mapped_column(owned_by("users.user_id"), primary_key=True)
    resource_server_id: Mapped[str] = mapped_column(primary_key=True)
    permission: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[Millis]
