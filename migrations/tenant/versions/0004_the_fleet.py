"""the fleet: a mark for each transaction over a network, so that its outcome can be known"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
only_adds = True


def upgrade() -> None:
    op.create_table(
        "transaction_marks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transaction_marks")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_transaction_marks_created_at", "transaction_marks", ["created_at"], unique=False)
