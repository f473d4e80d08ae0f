"""the Management API in breadth: what it asks for, and what it keeps"""

import time

import sqlalchemy as sa
from alembic import op

from core.ids import new_id
from migrations.scopes import add_permissions

revision = "0005"
down_revision = "0004"
only_adds = True

PERMISSIONS = {
    "branding": ("create", "delete"),
    "attack_protection": ("read", "update"),
    "anomaly_blocks": ("read", "delete"),
    "authentication_methods": ("read", "delete"),
    "device_credentials": ("read", "delete"),
    "email_provider": ("read", "create", "update", "delete"),
    "email_templates": ("read", "create", "update"),
    "event_deliveries": ("read", "update"),
    "event_streams": ("read", "create", "update", "delete"),
    "log_streams": ("read", "create", "update", "delete"),
    "prompts": ("read", "update"),
    "user_tickets": ("create",),
    "impersonation": ("create",),
}
"""New ones, on every tenant's own Management API and in the roles that a new installation makes."""


def upgrade() -> None:
    add_permissions(op.get_bind(), PERMISSIONS)
    _platform_roles()
    _people()
    _jobs()
    _attempts()
    _organizations()
    _streams()


def _people() -> None:
    op.create_index("ix_users_name", "users", [sa.text("lower(name)")], unique=False)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("position", sa.JSON(), nullable=True),
        sa.Column("inserted", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("fencing", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_created", "jobs", ["created_at", "id"], unique=False)
    op.create_index("ix_jobs_status", "jobs", ["status", "created_at"], unique=False)
    op.create_table(
        "job_parts",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_parts_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "kind", "number", name=op.f("pk_job_parts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_users_username", "users", ["username"], unique=False)


def _organizations() -> None:
    """What each may use. A row outlives its connection: one that took away the only way in must not open others."""
    op.create_table(
        "organization_connections",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("assign_membership_on_login", sa.Boolean(), nullable=False),
        sa.Column("is_signup_enabled", sa.Boolean(), nullable=False),
        sa.Column("show_as_button", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_connections_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "connection_id", name=op.f("pk_organization_connections")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "organization_client_grants",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("client_grant_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_client_grants_organization_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["client_grant_id"],
            ["client_grants.id"],
            name=op.f("fk_organization_client_grants_client_grant_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "client_grant_id", name=op.f("pk_organization_client_grants")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_organization_client_grants_client_grant_id",
        "organization_client_grants",
        ["client_grant_id"],
        unique=False,
    )


def _streams() -> None:
    op.create_index("ix_revoked_families_revoked_at", "revoked_families", ["revoked_at"], unique=False)
    op.add_column("log_events", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.create_index("ix_log_events_sequence", "log_events", ["sequence"], unique=False)
    op.create_table(
        "log_streams",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sink", sa.JSON(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_streams")),
    )
    op.create_index("ix_log_streams_created", "log_streams", ["created_at", "id"], unique=False)
    op.create_table(
        "event_streams",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("subscriptions", sa.JSON(), nullable=False),
        sa.Column("destination", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_streams")),
    )
    op.create_index("ix_event_streams_created", "event_streams", ["created_at", "id"], unique=False)
    op.create_table(
        "changes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_index("ix_changes_sequence", "changes", ["sequence"], unique=False)
    op.create_index("ix_changes_created_at", "changes", ["created_at"], unique=False)


def _attempts() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_login_attempts_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_login_attempts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_login_attempts_user_id", "login_attempts", ["user_id"], unique=False)
    op.create_index("ix_login_attempts_expires_at", "login_attempts", ["expires_at"], unique=False)
    op.create_table(
        "address_uses",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stage", "network", name=op.f("pk_address_uses")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_address_uses_full_at", "address_uses", ["full_at"], unique=False)


def _platform_roles() -> None:
    """On tenant one, which alone has platform scopes; a role that somebody gave this name is theirs."""
    connection = op.get_bind()
    if connection.execute(_IS_TENANT_ONE).first() is None:
        return
    now = int(time.time() * 1000)
    for name, description, chosen in PLATFORM_ROLES:
        if connection.execute(_HAS_ROLE, {"name": name}).first() is not None:
            continue
        id = new_id("rol")
        values = {"id": id, "name": name, "description": description, "created_at": now, "updated_at": now}
        kept = {"metadata": {"sync": False}, "labels": [], "is_system": False}
        connection.execute(sa.insert(_ROLES).values(**values, **kept))
        connection.execute(sa.text(f"{_ADD_PERMISSIONS} AND {chosen}"), {"id": id})


_ROLES = sa.table(
    "roles",
    *(sa.column(name, sa.String()) for name in ("id", "name", "description")),
    *(sa.column(name, sa.JSON()) for name in ("metadata", "labels")),
    *(sa.column(name, sa.BigInteger()) for name in ("created_at", "updated_at")),
    sa.column("is_system", sa.Boolean()),
)
PLATFORM_ROLES = (
    (
        "Platform Support",
        "Reads the installation and every tenant, and no secret",
        "scopes.value LIKE 'read:%' AND scopes.value NOT IN ('read:client_keys', 'read:user_idp_tokens')",
    ),
    (
        "Platform Auditor",
        "Reads the log of the control plane, and operations",
        "scopes.value IN ('read:logs', 'read:logs_users', 'read:operations')",
    ),
)
_IS_TENANT_ONE = sa.text("SELECT 1 FROM scopes WHERE is_platform LIMIT 1")
_HAS_ROLE = sa.text("SELECT 1 FROM roles WHERE name = :name")
_ADD_PERMISSIONS = (
    "INSERT INTO role_permissions (role_id, resource_server_id, permission)"
    " SELECT :id, scopes.resource_server_id, scopes.value FROM scopes"
    " JOIN resource_servers ON resource_servers.id = scopes.resource_server_id"
    " WHERE resource_servers.is_management"
)
