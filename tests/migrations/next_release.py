"""The release after this one, as far as a migration is concerned: one more revision, which rebuilds a parent table."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import migrations

REVISION = '''"""a column more, and another type: SQLite and libSQL rebuild the table for that"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    with op.batch_alter_table("clients") as batch:
        batch.add_column(sa.Column("colour", sa.String(), nullable=True))
        batch.alter_column("name", existing_type=sa.String(), type_=sa.Text(), existing_nullable=False)
'''
THIS = migrations.head("tenant")
NEXT = f"{int(THIS) + 1:04}"


@contextmanager
def next_release(folder: Path) -> Iterator[None]:
    """Inside, the history has one more revision: in this process, and in those forked from it."""
    source = Path(migrations.__file__).parent
    for history in ("tenant", "controlplane"):
        shutil.copytree(source / history, folder / history, ignore=shutil.ignore_patterns("__pycache__"))
    text = REVISION.format(revision=NEXT, before=THIS)
    (folder / f"tenant/versions/{NEXT}_the_next_release.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "_FOLDER", folder)
        migrations.head.cache_clear()
        try:
            yield
        finally:
            patch.undo()
            migrations.head.cache_clear()
