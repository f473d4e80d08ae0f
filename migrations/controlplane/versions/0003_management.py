"""the Management API in breadth: domains that tenants say are theirs"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
only_adds = True


def upgrade() -> None:
    _custom_domains()


def _custom_domains() -> None:
    op.create_table(
        "custom_domains",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("tls_policy", sa.String(), nullable=False),
        sa.Column("domain_metadata", sa.JSON(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("proven_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_custom_domains_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custom_domains")),
    )
    op.create_index("ix_custom_domains_tenant", "custom_domains", ["tenant_id", "host"], unique=True)
    op.create_index("ix_custom_domains_host", "custom_domains", ["host"], unique=False)
    op.add_column("hosts", sa.Column("is_primary", sa.Boolean(), server_default=sa.false(), nullable=False))
