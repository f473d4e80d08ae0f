"""organizations as people use them: what a session is in, invitations, teams, roles, domains, what is sold"""

import sqlalchemy as sa
from alembic import op

from migrations.scopes import add_permissions

revision = "0006"
down_revision = "0005"
only_adds = True

_CRUD = ("read", "create", "update", "delete")
PERMISSIONS = {
    "organization_discovery_domains": _CRUD,
    "products": _CRUD,
    "subscriptions": _CRUD,
}
"""New ones, on every tenant's own Management API and in the roles that a new installation makes."""


def upgrade() -> None:
    add_permissions(op.get_bind(), PERMISSIONS)
    _memberships()
    _sessions()
    _teams()
    _invitations()
    _organizations()
    _licenses()


def _memberships() -> None:
    """What members are, in their own row as well: from now on by a trigger."""
    op.add_column("memberships", sa.Column("role", sa.String(), nullable=False, server_default="member"))
    op.create_index(
        "ix_memberships_role", "memberships", ["organization_id", "role", "created_at", "id"], unique=False
    )
    memberships = sa.table("memberships", sa.column("id"), sa.column("role"))
    held = sa.table(
        "membership_organization_roles", sa.column("membership_id"), sa.column("role", sa.String())
    )
    theirs = sa.select(held.c.role).where(held.c.membership_id == memberships.c.id).order_by(held.c.role)
    roles = theirs.correlate(memberships).subquery()
    others = sa.select(held.c.membership_id).where(held.c.role != "member")
    op.execute(
        sa.update(memberships)
        .where(memberships.c.id.in_(others))
        .values(role=sa.select(sa.func.aggregate_strings(roles.c.role, ",")).scalar_subquery())
    )


def _sessions() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_teams_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
    )
    op.create_index("ix_teams_created", "teams", ["organization_id", "created_at", "id"], unique=False)
    op.create_table(
        "session_contexts",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=True),
        sa.Column("active_organization_id", sa.String(), nullable=True),
        sa.Column("active_team_id", sa.String(), nullable=True),
        sa.Column("remembers", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["active_organization_id"],
            ["organizations.id"],
            name=op.f("fk_session_contexts_active_organization_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["active_team_id"],
            ["teams.id"],
            name=op.f("fk_session_contexts_active_team_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_session_contexts_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_contexts")),
        sa.UniqueConstraint("token", name=op.f("uq_session_contexts_token")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_session_contexts_active_organization_id",
        "session_contexts",
        ["active_organization_id"],
        unique=False,
    )
    op.create_index(
        "ix_session_contexts_active_team_id", "session_contexts", ["active_team_id"], unique=False
    )
    op.create_table(
        "family_logins",
        sa.Column("family_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["family_id"],
            ["refresh_families.id"],
            name=op.f("fk_family_logins_family_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("family_id", name=op.f("pk_family_logins")),
        sqlite_with_rowid=False,
    )


def _teams() -> None:
    op.create_table(
        "team_members",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name=op.f("fk_team_members_team_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_team_members_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team_members")),
        sa.UniqueConstraint("team_id", "user_id", name=op.f("uq_team_members_team_id_user_id")),
    )
    op.create_index("ix_team_members_user_id", "team_members", ["user_id"], unique=False)
    op.create_table(
        "organization_roles",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("permission", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_roles_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization_roles")),
        sa.UniqueConstraint(
            "organization_id", "role", name=op.f("uq_organization_roles_organization_id_role")
        ),
    )


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("team_ids", sa.String(), nullable=True),
        sa.Column("tenant_roles", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("inviter_id", sa.String(), nullable=True),
        sa.Column("inviter_name", sa.String(), nullable=True),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.Column("connection_id", sa.String(), nullable=True),
        sa.Column("user_metadata", sa.JSON(), nullable=False),
        sa.Column("app_metadata", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("link_digest", sa.String(), nullable=True),
        sa.Column("accepted_by", sa.String(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inviter_id"], ["users.user_id"], name=op.f("fk_invitations_inviter_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_invitations_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("link_digest", name=op.f("uq_invitations_link_digest")),
    )
    op.create_index(
        "ix_invitations_created", "invitations", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_invitations_email", "invitations", ["email"], unique=False)
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"], unique=False)
    op.create_index("ix_invitations_inviter_id", "invitations", ["inviter_id"], unique=False)
    op.create_index(
        "ix_invitations_pending",
        "invitations",
        ["organization_id", "email"],
        unique=True,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "join_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_join_requests_organization_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_join_requests_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_requests")),
    )
    op.create_index(
        "ix_join_requests_created", "join_requests", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_join_requests_pending",
        "join_requests",
        ["organization_id", "user_id"],
        unique=True,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_join_requests_user_id", "join_requests", ["user_id"], unique=False)
    op.create_index("ix_join_requests_decided", "join_requests", ["status", "decided_at"], unique=False)


def _organizations() -> None:
    op.create_table(
        "organization_settings",
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_settings_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organization_settings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "organization_domains",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("is_for_discovery", sa.Boolean(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("look_at", sa.BigInteger(), nullable=True),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_organization_domains_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization_domains")),
        sa.UniqueConstraint(
            "organization_id", "domain", name=op.f("uq_organization_domains_organization_id_domain")
        ),
    )
    op.create_index(
        "ix_organization_domains_created",
        "organization_domains",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_organization_domains_verified",
        "organization_domains",
        ["domain"],
        unique=True,
        sqlite_where=sa.text("status = 'verified'"),
        postgresql_where=sa.text("status = 'verified'"),
    )
    op.create_index("ix_organization_domains_look_at", "organization_domains", ["look_at"], unique=False)
    op.create_table(
        "additional_fields",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_additional_fields_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("kind", "organization_id", "id", name=op.f("pk_additional_fields")),
        sqlite_with_rowid=False,
    )


def _licenses() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=True),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("name", name=op.f("uq_products_name")),
    )
    op.create_index("ix_products_created", "products", ["created_at", "id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organization_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_subscriptions_organization_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_subscriptions_product_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    op.create_index("ix_subscriptions_created", "subscriptions", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_subscriptions_organization",
        "subscriptions",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_subscriptions_product_id", "subscriptions", ["product_id"], unique=False)
