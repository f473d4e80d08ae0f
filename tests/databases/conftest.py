"""A database with a tiny schema of its own, so that the layer is tested without any plane above it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from core.database import DatabaseRef, Databases

SCHEMA = """
CREATE TABLE tenant (id TEXT NOT NULL, incarnation TEXT NOT NULL, config_version INTEGER NOT NULL,
                     converging INTEGER NOT NULL DEFAULT 0);
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n INTEGER NOT NULL DEFAULT 0, blob BLOB);
CREATE TABLE strict_item (name TEXT NOT NULL UNIQUE ON CONFLICT ROLLBACK);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES item(id) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TRIGGER setting_raises_insert AFTER INSERT ON setting BEGIN
  UPDATE tenant SET config_version = config_version + 1; END;
CREATE TRIGGER setting_raises_update AFTER UPDATE ON setting BEGIN
  UPDATE tenant SET config_version = config_version + 1; END;
CREATE TRIGGER setting_is_protected BEFORE DELETE ON setting WHEN (SELECT converging FROM tenant) = 0 BEGIN
  SELECT RAISE(ABORT, 'managed_by_control_plane:setting'); END;
CREATE TRIGGER tenant_item_is_protected BEFORE DELETE ON item WHEN OLD.name = 'tenant' BEGIN
  SELECT RAISE(ABORT, 'managed_by_tenant'); END;
"""


def make_database(
    folder: Path, owner: str = "acme", *, incarnation: str = "first", generation: int = 1
) -> DatabaseRef:
    path = folder / f"{owner}-{incarnation}.db"
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.executescript(SCHEMA)
        made.execute("INSERT INTO tenant VALUES (?, ?, 1, 0)", (owner, incarnation))
        made.execute("INSERT INTO setting VALUES ('colour', 'red')")
    made.close()
    return DatabaseRef(path=path, owner=owner, incarnation=incarnation, generation=generation)


def names_in(ref: DatabaseRef) -> list[str]:
    """What is on disk, seen by somebody else."""
    with sqlite3.connect(ref.path) as other:
        names = [row[0] for row in other.execute("SELECT name FROM item ORDER BY id")]
    other.close()
    return names


@pytest.fixture
def ref(tmp_path: Path) -> DatabaseRef:
    return make_database(tmp_path)


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path, write_deadline=1.0) as pool:
        yield pool


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., DatabaseRef]:
    def _make(owner: str = "acme", **kwargs: object) -> DatabaseRef:
        return make_database(tmp_path, owner, **kwargs)  # type: ignore[arg-type]

    return _make
