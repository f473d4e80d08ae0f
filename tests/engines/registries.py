"""The registry of a test's data folder: a file, or with `TESTS_REGISTRY=postgresql` a database of a server's.

A folder that was copied has a copy of the database, too: what a test changes is its own.
"""

import atexit
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from core.settings import Secret
from tests.engines.postgres import Postgres

IS_SHARED = os.environ.get("TESTS_REGISTRY") == "postgresql"


def registry_of(folder: Path) -> dict[str, Any]:
    """Settings that lead to it."""
    if not IS_SHARED:
        return {}
    return {"registry_url": Secret(_server().url(_database(folder)))}


def _database(folder: Path) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = folder / "registry-database"
    name, _, owner = note.read_text().partition(" ") if note.exists() else ("", "", "")
    if owner == str(folder):
        return name
    own = f"registry_{secrets.token_hex(8)}"
    _server().query(f"CREATE DATABASE {own}" + (f" TEMPLATE {name}" if name else ""))
    note.write_text(f"{own} {folder}")
    return own


@cache
def _server() -> Postgres:
    server = Postgres().start()
    atexit.register(server.remove)
    return server
