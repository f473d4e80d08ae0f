"""Closed tenants follow by the difference of two catalogues, and end with the rows that a look at each would give."""

from typing import Any

import pytest
from sqlalchemy import Connection, text

from controlplane.registry.ledger import sync_record
from controlplane.registry.tenants import get_tenant
from provisioning.platform import Platform
from sync.catalogue import DesiredCatalogues, Follower, Sharing, load_catalogue
from sync.transitions import Copies, Transitions
from tests.provisioning.installations import create
from tests.sync.catalogues import (
    add_role,
    add_server,
    management_of,
    on_tenant_one,
    tenant_of,
)

pytestmark = pytest.mark.anyio


async def catalogue_of_two(platform: Platform) -> None:
    await add_server(platform, "billing", "read:bills", "pay:bills")
    await add_server(platform, "stock", "read:stock")
    await add_role(platform, "rol_x", "X", ("rs_billing", "read:bills"), ("rs_stock", "read:stock"))
    await add_role(platform, "rol_y", "Y", ("rs_billing", "pay:bills"))


async def close(platform: Platform, tenant_id: str) -> None:
    tenant = await platform.registry.read(get_tenant, tenant_id)
    await platform.databases.forget(platform.parts.ref(tenant))


async def look(platform: Platform, tenant_id: str, statement: str) -> list[Any]:
    """At a closed tenant, which stays closed."""
    tenant = await platform.registry.read(get_tenant, tenant_id)
    with platform.databases.read_only(platform.parts.ref(tenant)) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


async def followed(platform: Platform, *tenant_ids: str) -> list[Any]:
    """After the fan-out every row is compared; then the tenants are closed again."""
    await platform.worker.catch_up()
    found = []
    for tenant_id in tenant_ids:
        found.append(await platform.lifecycle.drift(tenant_id))
        await close(platform, tenant_id)
    return found


CHANGES = {
    "a permission taken away": "DELETE FROM role_permissions WHERE role_id = 'rol_x' AND permission = 'read:bills'",
    "a permission given": "INSERT INTO role_permissions VALUES ('rol_y', 'rs_stock', 'read:stock')",
    "one on the Management API": (
        "INSERT INTO role_permissions SELECT 'rol_y', id, 'read:users' FROM resource_servers WHERE is_management"
    ),
    "and taken away": (
        "DELETE FROM role_permissions WHERE role_id = 'rol_y' AND resource_server_id ="
        " (SELECT id FROM resource_servers WHERE is_management)"
    ),
    "a role renamed": "UPDATE roles SET name = 'Z' WHERE id = 'rol_y'",
    "names swapped": "UPDATE roles SET name = CASE id WHEN 'rol_x' THEN 'Z' ELSE 'X' END || '.'",
    "described": "UPDATE roles SET description = 'What it is for' WHERE id = 'rol_x'",
    "an API changed": "UPDATE resource_servers SET token_lifetime = 60 WHERE id = 'rs_stock'",
    "a scope changed": "UPDATE scopes SET description = 'All', position = 7 WHERE value = 'read:bills'",
    "a scope removed": "DELETE FROM scopes WHERE value = 'pay:bills'",
    "an API removed": "DELETE FROM resource_servers WHERE id = 'rs_stock'",
    "a role removed": "DELETE FROM roles WHERE id = 'rol_x'",
}


async def test_every_kind_of_change_arrives_in_closed_tenants(platform: Platform) -> None:
    await catalogue_of_two(platform)
    for tenant_id in ("acme", "globex"):
        await create(platform, tenant_id)
    for what, statement in CHANGES.items():
        shared = " WHERE id IN ('rol_x', 'rol_y')" if what == "names swapped" else ""
        await on_tenant_one(platform, statement + shared)
        for drift in await followed(platform, "acme", "globex"):
            assert drift["in_sync"], (what, drift)
            assert list(drift["applied"]) == list(drift["wanted"]), what
            assert not drift["conflicts"], what
            assert not drift["dangling"], what


async def test_an_own_role_of_the_new_name_is_met_and_reported(platform: Platform) -> None:
    await catalogue_of_two(platform)
    for tenant_id in ("acme", "globex"):
        await create(platform, tenant_id)
    tenant = await tenant_of(platform)
    await tenant.database.write(_own_role, "Wanted")
    await close(platform, "acme")
    await on_tenant_one(platform, "UPDATE roles SET name = 'Wanted', description = 'new' WHERE id = 'rol_x'")
    acme, globex = await followed(platform, "acme", "globex")
    assert [conflict["id"] for conflict in acme["conflicts"]] == ["rol_x"]
    assert acme["in_sync"]
    assert not globex["conflicts"]
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert [conflict["own_id"] for conflict in record.conflicts] == ["rol_own"]
    assert await look(
        platform, "acme", "SELECT id, name, description FROM roles WHERE id != 'rol_y' ORDER BY id"
    ) == [
        ("rol_own", "Wanted", None),
        ("rol_x", "X", "new"),
    ]


async def test_rows_that_are_not_what_their_digest_says_are_looked_at(platform: Platform) -> None:
    """The role is gone behind everybody's back: what would hang on it breaks a rule, and all is compared."""
    await catalogue_of_two(platform)
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await tenant.database.alone(_remove_role, converge=True)
    await close(platform, "acme")
    await on_tenant_one(platform, CHANGES["a permission given"])
    (drift,) = await followed(platform, "acme")
    assert drift["in_sync"]


async def test_a_management_scope_the_tenant_has_not_is_left_out_and_told(platform: Platform) -> None:
    await catalogue_of_two(platform)
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    management = await management_of(tenant)
    await tenant.database.alone(_remove_scope, management, converge=True)
    await close(platform, "acme")
    await on_tenant_one(platform, CHANGES["one on the Management API"])
    await platform.worker.catch_up()
    assert await look(platform, "acme", "SELECT json_array_length(dangling) FROM tenant") == [(1,)]
    assert await look(
        platform, "acme", "SELECT permission FROM role_permissions WHERE role_id = 'rol_y'"
    ) == [("pay:bills",)]


async def test_only_what_differs_is_written(platform: Platform) -> None:
    await catalogue_of_two(platform)
    before = await _desired(platform)
    await on_tenant_one(platform, CHANGES["a permission taken away"])
    after = await _desired(platform)
    copies = Copies.of(before.catalogue)
    assert copies is not None
    found = Transitions({before.digest: copies}, now=1).between(before.digest, after)
    assert found is not None
    assert [list(values) for _, values in found] == [[("rol_x", "rs_billing", "read:bills")]]
    assert Transitions({}, now=1).between(before.digest, after) is None


async def _desired(platform: Platform) -> Any:
    one = await platform.directory.control_plane()
    offered = await one.database.read(load_catalogue)
    return DesiredCatalogues(Sharing()).for_tenant(offered, Follower("", ""))


def _own_role(connection: Connection, name: str) -> None:
    connection.execute(
        text(
            "INSERT INTO roles (id, name, metadata, labels, is_system, created_at, updated_at)"
            " VALUES ('rol_own', :name, '{}', '[]', 0, 1, 1)"
        ),
        {"name": name},
    )


def _remove_role(connection: Connection) -> None:
    connection.execute(text("DELETE FROM roles WHERE id = 'rol_y'"))


def _remove_scope(connection: Connection, management: str) -> None:
    connection.execute(
        text("DELETE FROM scopes WHERE resource_server_id = :id AND value = 'read:users'"), {"id": management}
    )
