"""Roles that came with a release are on tenant one of an installation that is older."""

import sqlite3
from pathlib import Path

import pytest

from core.settings import Settings
from provisioning.control_plane_rows import ROLES
from tenant_runtime.configuration import configuration
from tests.migrations.older import make_older
from tests.provisioning.installations import opened

pytestmark = pytest.mark.anyio

NEW = ("Platform Support", "Platform Auditor")


def tenant_one(data: Path) -> Path:
    return next(data.rglob("control_plane*.db"))


def take_roles(path: Path, *names: str) -> None:
    with sqlite3.connect(path) as connection:
        for name in names:
            chosen = "SELECT id FROM roles WHERE name = ?"
            connection.execute(f"DELETE FROM role_permissions WHERE role_id IN ({chosen})", (name,))
            connection.execute("DELETE FROM roles WHERE name = ?", (name,))
    connection.close()


async def test_an_older_installation_has_the_roles_of_the_platform_after_its_upgrade(
    data: Path, settings: Settings
) -> None:
    path = tenant_one(data)
    take_roles(path, *NEW)
    make_older(path, "0004")
    with sqlite3.connect(data / "registry.db") as registry:
        registry.execute("UPDATE tenants SET schema_version = '0004'")
    registry.close()
    async with opened(settings) as platform:
        held = await configuration(await platform.directory.control_plane())
        roles = {role.name: role.permissions[held.management.id] for role in held.roles.values()}
        assert {name: roles[name] for name, _, _ in ROLES} == {name: chosen for name, _, chosen in ROLES}
