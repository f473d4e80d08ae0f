"""Everything that stands in an installation's databases, read past the application."""

import sqlite3
from pathlib import Path

from tests.installation import Installation

TRAIL = ("log_events",)
"""Attempts are logged, also those that were refused."""

Rows = dict[str, dict[str, list[str]]]


def all_rows(installation: Installation, *, without: tuple[str, ...] = TRAIL) -> Rows:
    """By file and table; the registry is a file like the others."""
    root = installation.app.settings.data_dir
    return {str(path.relative_to(root)): rows_of(path, without) for path in sorted(root.rglob("*.db"))}


def rows_of(path: Path, without: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Through a connection of its own, so that what is still in the write-ahead log is seen."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if row[0] not in without
        ]
        return {
            name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in sorted(names)
        }
    finally:
        connection.close()


def transitions(before: Rows, after: Rows) -> list[str]:
    """Only what changed, short enough to read."""
    found = []
    for file in before.keys() | after.keys():
        old, new = before.get(file, {}), after.get(file, {})
        for table in old.keys() | new.keys():
            for row in set(old.get(table, ())) ^ set(new.get(table, ())):
                found.append(f"{file} {table}: {row[:200]}")
    return found
