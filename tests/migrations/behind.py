"""The demo as an installation whose tenants the release before this one made."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import migrations
from entrypoints.demo_content import Demo
from tests.migrations.older import make_older, make_registry_older

BEFORE = migrations.previous("tenant")


def demo_of_an_earlier_release(
    golden: tuple[Path, Demo], target: Path, *, version: str = BEFORE, held: bool = False
) -> Path:
    shutil.copytree(golden[0], target, ignore=shutil.ignore_patterns("generations", "workers"))
    with closing(sqlite3.connect(target / "registry.db")) as registry:
        rows = registry.execute("SELECT id, location FROM tenants WHERE NOT is_control_plane").fetchall()
        for _, location in rows:
            make_older(target / location, version)
        registry.execute("UPDATE tenants SET schema_version = ? WHERE NOT is_control_plane", (version,))
        if held:
            registry.execute(
                "INSERT INTO schema_states (tenant_id, wave, attempts, next_attempt_at, lease_expires_at,"
                " fencing, hold_reason, held_at, updated_at)"
                " SELECT id, 0, 0, 0, 0, 0, 'not now', 1, 1 FROM tenants WHERE NOT is_control_plane"
            )
        registry.commit()
    return target


def installation_of_an_earlier_release(golden: tuple[Path, Demo], target: Path) -> Path:
    """Registry and tenant one too: the release before may start on it."""
    data = demo_of_an_earlier_release(golden, target)
    make_older(file_of(data, "control_plane"))
    with closing(sqlite3.connect(data / "registry.db")) as registry:
        registry.execute("UPDATE tenants SET schema_version = ?", (BEFORE,))
        registry.commit()
    make_registry_older(data / "registry.db")
    return data


def file_of(data: Path, tenant_id: str) -> Path:
    with closing(sqlite3.connect(data / "registry.db")) as registry:
        row = registry.execute("SELECT location FROM tenants WHERE id = ?", (tenant_id,)).fetchone()
    return data / str(row[0])
