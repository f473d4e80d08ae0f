"""Everything that stands in an installation's databases, read past the application."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from controlplane.registry.tenant_lists import TenantQuery, list_tenants
from core.database import DatabaseRef
from tests.engines.servers import namespace_file, postgresql_process, postgresql_rows, written_for
from tests.installation import Installation

TRAIL = ("log_events", "transaction_marks", "login_attempts", "address_uses")
"""Attempts are logged and counted, also those that were refused; each transaction behind a server leaves a mark of
its end."""

Rows = dict[str, dict[str, list[str]]]


async def refs_of(installation: Installation) -> dict[str, DatabaseRef]:
    """By tenant, as the registry points to them now."""
    parts = installation.running.platform.parts
    return {tenant.id: parts.ref(tenant) for tenant in await parts.registry.read(list_tenants, TenantQuery())}


async def everything_written(installation: Installation) -> bytes:
    """All that the files of its databases hold."""
    files = [path.read_bytes() for path in installation.app.settings.data_dir.rglob("*.db*")]
    behind = [ref for ref in (await refs_of(installation)).values() if ref.path is None]
    return b"".join([*files, *map(written_for, behind)])


async def all_rows(installation: Installation, *, without: Sequence[str] = TRAIL) -> Rows:
    """By file or, behind a server, by tenant; then by table."""
    settings = installation.app.settings
    root = settings.data_dir
    found = {str(path.relative_to(root)): rows_of(path, without) for path in sorted(root.rglob("*.db"))}
    if settings.registry_url is not None:
        found["registry"] = postgresql_rows(settings.registry_url.reveal(), without)
    for tenant_id, ref in (await refs_of(installation)).items():
        if ref.path is None:
            found[tenant_id] = rows_behind(ref, without)
    return found


def rows_behind(ref: DatabaseRef, without: Sequence[str] = ()) -> dict[str, list[str]]:
    if ref.kind == "postgresql":
        return postgresql_rows(postgresql_process().url(ref.server.name), without)
    return rows_of(namespace_file(ref), without)


def rows_of(path: Path, without: Sequence[str] = ()) -> dict[str, list[str]]:
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
