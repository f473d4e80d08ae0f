"""What an operator writes on tenant one, every tenant holds: made, changed, renamed, taken away."""

import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.registry.ledger import sync_record
from core.errors import ManagedByControlPlane
from provisioning.platform import Platform
from sync.gate import Freshness
from tests.provisioning.installations import create, opened, settings_for, sql
from tests.sync.catalogues import (
    add_role,
    add_server,
    management_of,
    on_tenant_one,
    permissions_of,
    roles_of,
    rows,
    tenant_of,
)

pytestmark = pytest.mark.anyio


async def synced(platform: Platform) -> None:
    assert await platform.lifecycle.wait_synced() == 0


async def test_a_resource_server_arrives_with_all_its_fields(platform: Platform) -> None:
    await create(platform, "acme")
    await add_server(platform, "billing", "read:bills", "write:bills", metadata={"team": "money"})
    await synced(platform)
    await create(platform, "globex")  # by the template
    columns = (
        "SELECT json_array(id, identifier, name, signing_alg, token_lifetime, token_lifetime_for_web,"
        " allow_offline_access, enforce_policies, token_dialect, skip_consent_for_verifiable_first_party_clients,"
        " json(metadata), json(attributes)), is_system FROM resource_servers WHERE id = 'rs_billing'"
    )
    scopes = "SELECT * FROM scopes WHERE resource_server_id = 'rs_billing' ORDER BY position"
    one = await platform.directory.control_plane()
    ((wanted, is_system),) = await rows(one, columns)
    assert not is_system
    for tenant in (await tenant_of(platform), await tenant_of(platform, "globex")):
        assert await rows(tenant, columns) == [(wanted, 1)]
        assert await rows(tenant, scopes) == await rows(one, scopes)


@pytest.mark.parametrize(
    "name", ["Accountant", "Two Words", 'O\'Neil "the" r\u00f4le; --', "\u4f1a\u8a08 %_?"]
)
async def test_roles_of_any_name_arrive_and_are_renamed(platform: Platform, name: str) -> None:
    await create(platform, "acme")
    server = await add_server(platform, "billing", "read:bills")
    role = await add_role(platform, "rol_x", name, (server, "read:bills"))
    await synced(platform)
    tenant = await tenant_of(platform)
    assert await roles_of(tenant) == {role: (name, 1)}
    await on_tenant_one(platform, "UPDATE roles SET name = :name WHERE id = 'rol_x'", name=f"{name} again")
    await synced(platform)
    assert await roles_of(tenant) == {role: (f"{name} again", 1)}


async def test_permissions_are_added_and_taken_away(platform: Platform) -> None:
    await create(platform, "acme")
    server = await add_server(platform, "billing", "read", "write")
    await add_role(platform, "rol_x", "X", (server, "read"))
    await synced(platform)
    tenant = await tenant_of(platform)
    assert await permissions_of(tenant, "rol_x") == {(server, "read")}
    await on_tenant_one(platform, "INSERT INTO role_permissions VALUES ('rol_x', :s, 'write')", s=server)
    await on_tenant_one(
        platform, "DELETE FROM role_permissions WHERE permission = 'read' AND role_id = 'rol_x'"
    )
    await synced(platform)
    assert await permissions_of(tenant, "rol_x") == {(server, "write")}
    await on_tenant_one(platform, "DELETE FROM scopes WHERE value = 'write'")
    await synced(platform)
    assert await permissions_of(tenant, "rol_x") == set()


async def test_names_that_are_swapped_arrive_swapped(platform: Platform) -> None:
    await create(platform, "acme")
    await add_role(platform, "rol_a", "A")
    await add_role(platform, "rol_b", "B")
    await synced(platform)
    for name, id in (("tmp", "rol_a"), ("A", "rol_b"), ("B", "rol_a")):
        await on_tenant_one(platform, "UPDATE roles SET name = :name WHERE id = :id", name=name, id=id)
    await add_role(platform, "rol_0", "tmp")
    await synced(platform)
    assert await roles_of(await tenant_of(platform)) == {
        "rol_a": ("B", 1),
        "rol_b": ("A", 1),
        "rol_0": ("tmp", 1),
    }


async def test_what_is_deleted_goes_everywhere_and_what_stays_keeps_what_hangs_on_it(
    platform: Platform,
) -> None:
    await create(platform, "acme")
    for name in ("billing", "shipping"):
        server = await add_server(platform, name, "read", "write")
        await add_role(platform, f"rol_{name}", name, (server, "read"))
    await synced(platform)
    tenant = await tenant_of(platform)
    await tenant.database.write(
        sql(
            "INSERT INTO users (user_id, email_verified, phone_verified, profile, user_metadata, app_metadata, blocked,"
            " created_at, updated_at, sessions_valid_from, logins_count)"
            " VALUES ('u', 0, 0, '{}', '{}', '{}', 0, 1, 1, 0, 0)"
        )
    )
    for server in ("rs_billing", "rs_shipping"):
        await tenant.database.write(sql("INSERT INTO user_permissions VALUES ('u', :s, 'read', 1)", s=server))
        await tenant.database.write(
            sql("INSERT INTO user_roles VALUES ('u', :r, 1)", r=server.replace("rs_", "rol_"))
        )
    await on_tenant_one(platform, "DELETE FROM resource_servers WHERE id = 'rs_billing'")
    await on_tenant_one(platform, "DELETE FROM roles WHERE id = 'rol_billing'")
    await on_tenant_one(platform, "UPDATE resource_servers SET name = 'Renamed' WHERE id = 'rs_shipping'")
    await on_tenant_one(platform, "UPDATE roles SET description = 'Changed' WHERE id = 'rol_shipping'")
    await synced(platform)
    assert await rows(tenant, "SELECT name FROM resource_servers WHERE is_system") == [("Renamed",)]
    assert set(await roles_of(tenant)) == {"rol_shipping"}
    assert await rows(tenant, "SELECT resource_server_id FROM user_permissions") == [("rs_shipping",)]
    assert await rows(tenant, "SELECT role_id FROM user_roles") == [("rol_shipping",)]


async def test_a_permission_on_the_management_api_becomes_one_on_the_tenants_own(platform: Platform) -> None:
    one = await platform.directory.control_plane()
    management = await management_of(one)
    role = await add_role(
        platform,
        "rol_m",
        "M",
        (management, "read:users"),
        (management, "read:tenants"),
        (management, "delete:tenants"),
    )
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    assert await permissions_of(tenant, role) == {(await management_of(tenant), "read:users")}
    assert (await platform.lifecycle.drift("acme"))["in_sync"]
    await on_tenant_one(
        platform, "INSERT INTO role_permissions VALUES ('rol_m', :m, 'read:roles')", m=management
    )
    await synced(platform)
    assert {value for _, value in await permissions_of(tenant, role)} == {"read:users", "read:roles"}


async def test_operators_roles_and_entities_that_say_so_stay_on_tenant_one(platform: Platform) -> None:
    await create(platform, "acme")
    server = await add_server(platform, "inner", "read", metadata={"sync": False})
    await add_role(platform, "rol_in", "Inner", metadata={"sync": "false"})
    await add_role(platform, "rol_x", "X", (server, "read"))
    await synced(platform)
    tenant = await tenant_of(platform)
    assert await roles_of(tenant) == {"rol_x": ("X", 1)}
    assert await permissions_of(tenant, "rol_x") == set()
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert [item["permission"] for item in record.dangling] == ["read"]
    await on_tenant_one(platform, "UPDATE resource_servers SET metadata = '{}' WHERE id = 'rs_inner'")
    await synced(platform)
    assert await permissions_of(tenant, "rol_x") == {(server, "read")}


async def test_labels_choose_who_gets_an_entity(platform: Platform) -> None:
    await create(platform, "acme", labels=frozenset({"gold", "eu"}))
    await create(platform, "globex", labels=frozenset({"eu"}))
    await add_role(platform, "rol_gold", "Gold", labels=["gold", "platinum"])
    await add_role(platform, "rol_all", "All")
    await synced(platform)
    assert set(await roles_of(await tenant_of(platform))) == {"rol_gold", "rol_all"}
    assert set(await roles_of(await tenant_of(platform, "globex"))) == {"rol_all"}
    await on_tenant_one(platform, "UPDATE roles SET labels = '[\"eu\"]' WHERE id = 'rol_all'")
    await synced(platform)
    await platform.registry.write(sql("UPDATE tenants SET labels = '[\"gold\"]' WHERE id = 'acme'"))
    await platform.lifecycle.converge("acme")
    assert set(await roles_of(await tenant_of(platform))) == {"rol_gold"}


async def test_a_kind_that_is_no_longer_shared_becomes_the_tenants_own_and_comes_back(data: Path) -> None:
    async with opened(settings_for(data)) as platform:
        server = await add_server(platform, "billing", "read")
        await add_role(platform, "rol_x", "X", (server, "read"))
        await create(platform, "acme")
        assert await platform.worker.take_over_rules()
        assert not await platform.worker.take_over_rules()
    async with opened(settings_for(data, sync_roles=False)) as platform:
        assert await platform.worker.take_over_rules()
        await synced(platform)
        await on_tenant_one(platform, "UPDATE roles SET name = 'Y' WHERE id = 'rol_x'")
        tenant = await tenant_of(platform)
        assert await roles_of(tenant) == {"rol_x": ("X", 0)}
        assert await rows(tenant, "SELECT is_system FROM resource_servers WHERE id = 'rs_billing'") == [(1,)]
        await tenant.database.write(sql("UPDATE roles SET description = 'mine' WHERE id = 'rol_x'"))
        await on_tenant_one(platform, "DELETE FROM scopes WHERE value = 'read'")
        await synced(platform)
        assert await permissions_of(tenant, "rol_x") == set()
    async with opened(settings_for(data)) as platform:
        assert await platform.worker.take_over_rules()
        await synced(platform)
        tenant = await tenant_of(platform)
        assert await rows(tenant, "SELECT name, description, is_system FROM roles") == [("Y", "A role", 1)]


async def test_system_entities_cannot_be_changed_in_a_tenant(platform: Platform) -> None:
    server = await add_server(platform, "billing", "read")
    await add_role(platform, "rol_x", "X", (server, "read"))
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    for statement in (
        "UPDATE roles SET name = 'mine'",
        "DELETE FROM roles",
        "DELETE FROM scopes WHERE resource_server_id = 'rs_billing'",
        "INSERT INTO role_permissions SELECT 'rol_x', resource_server_id, value FROM scopes WHERE value = 'read:users'",
        "UPDATE resource_servers SET enforce_policies = 0",
    ):
        with pytest.raises(ManagedByControlPlane):
            await tenant.database.write(sql(statement))
    assert (await platform.lifecycle.drift("acme"))["in_sync"]


async def effective(tenant: Any) -> dict[str, Any]:
    statement = "SELECT key, json_quote(value), typeof(value) FROM settings WHERE source = 'control_plane'"
    found = await rows(tenant, statement)
    return {key: json.loads(json.loads(raw) if kind == "text" else raw) for key, raw, kind in found}


async def test_settings_are_inherited_rendered_and_taken_back(data: Path) -> None:
    settings = settings_for(
        data,
        settings_templates={"help_url": "https://{id}.example.com/help"},
        excluded_keys=frozenset({"support_url"}),
    )
    put = "INSERT INTO settings (key, source, value) VALUES (:key, 'tenant', :value)"
    async with opened(settings) as platform:
        for key, value in {
            "session_lifetime": "12",
            "support_email": '"help@example.com"',
            "support_url": '"https://example.com"',
            "friendly_name": '"Control Plane"',
            "default_audience": '"https://inner.example"',
        }.items():
            await on_tenant_one(platform, put, key=key, value=value)
        await create(platform, "acme")
        await create(platform, "globex")
        tenant = await tenant_of(platform)
        assert await effective(tenant) == {
            "session_lifetime": 12,
            "support_email": "help@example.com",
            "help_url": "https://acme.example.com/help",
        }
        other = await effective(await tenant_of(platform, "globex"))
        assert other["help_url"] == "https://globex.example.com/help"
        await on_tenant_one(platform, "DELETE FROM settings WHERE key = 'support_email'")
        await on_tenant_one(platform, "UPDATE settings SET value = '24' WHERE key = 'session_lifetime'")
        await synced(platform)
        assert await effective(tenant) == {
            "session_lifetime": 24,
            "help_url": "https://acme.example.com/help",
        }
        assert (await platform.lifecycle.drift("acme"))["in_sync"]
        assert await platform.gate.ensure(tenant) is Freshness.FRESH


async def test_an_installations_own_transform_has_the_last_word_but_not_on_names(data: Path) -> None:
    def transform(values: Any, tenant: Any) -> dict[str, Any]:
        return {**values, "support_email": f"{tenant.id}@example.com", "friendly_name": "stolen"}

    async with opened(settings_for(data), settings_transform=transform) as platform:
        await create(platform, "acme")
        assert await effective(await tenant_of(platform)) == {"support_email": "acme@example.com"}
