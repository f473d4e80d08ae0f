"""A tenant's file as an earlier release left it: without the tables, columns and indexes that later revisions add."""

import re
import runpy
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import migrations
from tenant_runtime.models.triggers import all_triggers

VERSIONS = Path(migrations.__file__).parent / "tenant/versions"
REGISTRY = Path(migrations.__file__).parent / "controlplane/versions"
COLUMN = re.compile(r'add_column\(\s*"(\w+)",\s*sa\.Column\(\s*"(\w+)"')
TABLE = re.compile(r'create_table\(\s*"(\w+)"')
INDEX = re.compile(r'create_index\(\s*(?:op\.f\()?"(\w+)"')


def make_older(path: Path, version: str = migrations.previous("tenant")) -> None:
    with sqlite3.connect(path) as connection:
        undo_to(connection, version)
    connection.close()


def undo_to(connection: sqlite3.Connection, version: str) -> None:
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for revision in sorted(VERSIONS.glob("[0-9]*.py"), reverse=True):
        if revision.name[:4] > version:
            _undo(connection, revision.read_text())
            _undo_permissions(connection, runpy.run_path(str(revision)).get("PERMISSIONS", {}))
    if version < "0003":
        connection.execute("DELETE FROM connections WHERE name = 'email'")
    else:
        since = {trigger.name: trigger.since for trigger in all_triggers()}
        for name, statement in triggers:
            if since.get(name, "") <= version:
                connection.execute(statement)
    connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def make_registry_older(path: Path, version: str = migrations.previous("controlplane")) -> None:
    with sqlite3.connect(path) as connection:
        for revision in sorted(REGISTRY.glob("[0-9]*.py"), reverse=True):
            if revision.name[:4] > version:
                _undo(connection, revision.read_text())
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()


def _undo(connection: sqlite3.Connection, revision: str) -> None:
    for name in INDEX.findall(revision):
        connection.execute(f"DROP INDEX IF EXISTS {name}")
    for name in TABLE.findall(revision):
        connection.execute(f"DROP TABLE {name}")
    for table, column in COLUMN.findall(revision):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def _undo_permissions(connection: sqlite3.Connection, permissions: Mapping[str, Sequence[str]]) -> None:
    for resource, verbs in permissions.items():
        for verb in verbs:
            for table, column in (("role_permissions", "permission"), ("scopes", "value")):
                connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (f"{verb}:{resource}",))


def version_in(path: Path) -> str:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    finally:
        connection.close()


def poison(path: Path) -> None:
    """What the newest revision wants to make is there already, and is another thing."""
    name = TABLE.findall(max(VERSIONS.glob("[0-9]*.py")).read_text())[0]
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {name} (odd TEXT)")
    connection.close()


def mend(path: Path) -> None:
    name = TABLE.findall(max(VERSIONS.glob("[0-9]*.py")).read_text())[0]
    with sqlite3.connect(path) as connection:
        connection.execute(f"DROP TABLE {name}")
    connection.close()
