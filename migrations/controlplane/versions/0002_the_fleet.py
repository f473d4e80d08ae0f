"""the fleet: where databases are, and what is done to many of them"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("tenants", sa.Column("credentials", sa.LargeBinary(), nullable=True))
    op.add_column("tenants", sa.Column("node", sa.String(), nullable=True))
    op.add_column("installation", sa.Column("sharing", sa.String(), nullable=True))
