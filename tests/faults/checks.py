"""The invariants K1 to K7, looked at in the files after a fault, past the application (`specs/faults.md` section 1)."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

CATALOGUE = (
    "SELECT id, name, description FROM roles WHERE {which}",
    "SELECT id, identifier, name, enforce_policies, token_dialect FROM resource_servers WHERE {which}",
    (
        "SELECT resource_server_id, value, description FROM scopes WHERE resource_server_id IN"
        " (SELECT id FROM resource_servers WHERE {which})"
    ),
    (
        "SELECT role_id, resource_server_id, permission FROM role_permissions WHERE role_id IN"
        " (SELECT id FROM roles WHERE {which})"
    ),
)
OF_TENANT_ONE = {
    "roles": "coalesce(json_extract(metadata, '$.sync'), 1)",
    "resource_servers": "NOT is_management AND coalesce(json_extract(metadata, '$.sync'), 1)",
}


def query(file: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def file_of(data: Path, tenant_id: str) -> Path:
    rows = query(data / "registry.db", "SELECT location FROM tenants WHERE id = ?", tenant_id)
    return data / str(rows[0][0])


def catalogue_of(file: Path, *, wanted: bool) -> list[list[tuple[Any, ...]]]:
    """What tenant one shares, or what a child holds of it, with its own order."""
    found = []
    for statement in CATALOGUE:
        table = "roles" if "FROM roles WHERE {which}" in statement else "resource_servers"
        which = OF_TENANT_ONE[table] if wanted else "is_system"
        found.append(sorted(query(file, statement.format(which=which)), key=repr))
    return found


def everybody_follows(data: Path) -> list[str]:
    """K3: the tenants that do not hold what tenant one shares, row for row."""
    wanted = catalogue_of(file_of(data, "control_plane"), wanted=True)
    behind = []
    for tenant_id, location in query(
        data / "registry.db",
        "SELECT id, location FROM tenants WHERE NOT is_control_plane AND state IN ('active', 'suspended')",
    ):
        if catalogue_of(data / str(location), wanted=False) != wanted:
            behind.append(str(tenant_id))
    return behind


def is_whole(data: Path, deleted: Sequence[str] = ()) -> None:
    """No half of anything: registry, files, organizations and operations agree."""
    tenants = query(
        data / "registry.db", "SELECT id, state, location, organization_id, wrapped_key FROM tenants"
    )
    serving = {str(row[0]): row for row in tenants if row[1] in ("active", "suspended")}
    files = {str(path.relative_to(data)) for path in (data / "tenants").rglob("*.db")}
    kept = {str(row[2]) for row in tenants if row[1] == "deleting"}
    assert files - kept == {str(row[2]) for row in serving.values()}, (
        "a file without a row, or a row without a file"
    )
    organizations = query(
        file_of(data, "control_plane"), "SELECT name, id FROM organizations WHERE managed_by = 'tenant'"
    )
    children = {(name, row[3]) for name, row in serving.items() if row[3] is not None}
    assert set(organizations) == children
    for name in deleted:
        row = next(row for row in tenants if row[0] == name)
        assert row[1] == "deleted"
        assert row[4] is None, "the data key is destroyed"
    for file in files:
        assert query(data / file, "PRAGMA integrity_check") == [("ok",)]
        assert query(data / file, "PRAGMA foreign_key_check") == []
    assert query(data / "registry.db", "PRAGMA integrity_check") == [("ok",)]


def operations_of(data: Path, tenant_id: str) -> list[tuple[str, str, list[str]]]:
    """Kind, state and steps, oldest first."""
    rows = query(
        data / "registry.db",
        "SELECT kind, state, steps FROM operations WHERE tenant_id = ? ORDER BY created_at, id",
        tenant_id,
    )
    return [
        (str(kind), str(state), [step["name"] for step in json.loads(steps)]) for kind, state, steps in rows
    ]


def stand_once(data: Path, tenant_id: str, table: str, column: str, values: Iterable[str]) -> None:
    """K1: what was answered with success is there, once."""
    rows = [row[0] for row in query(file_of(data, tenant_id), f"SELECT {column} FROM {table}")]
    for value in values:
        assert rows.count(value) == 1, (value, rows.count(value))
