"""tenants that people create for themselves: how many each has"""

from alembic import op

revision = "0004"
down_revision = "0003"
only_adds = True


def upgrade() -> None:
    op.create_index("ix_tenants_creator_user_id", "tenants", ["creator_user_id"], unique=False)
