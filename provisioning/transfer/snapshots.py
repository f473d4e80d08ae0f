"""A tenant's database as a SQLite file, from an engine that cannot make one itself and back into such an engine."""

from pathlib import Path

from sqlalchemy import Connection

import migrations
from core.database.private import existing_file, new_file
from core.errors import DatabaseCorrupt
from provisioning.transfer.copying import copy_rows


def write_snapshot(source: Connection, target: Path) -> int:
    """`source` is inside a read transaction; `target` does not exist yet. Answers how many rows it holds."""
    version = migrations.current(source)
    if version is None:
        raise DatabaseCorrupt
    with new_file(target) as copy:
        migrations.upgrade(copy, "tenant", to=version)
        return copy_rows(source, copy)


def load_snapshot(source: Path, target: Connection) -> int:
    """Into a database with the schema at the snapshot's version and no rows (`snapshot_version`)."""
    with existing_file(source) as copy:
        return copy_rows(copy, target)


def snapshot_version(source: Path) -> str:
    """Which schema version a snapshot holds, so that a database of that version can be made for it."""
    with existing_file(source) as copy:
        version = migrations.current(copy)
    if version is None:
        raise DatabaseCorrupt
    return version
