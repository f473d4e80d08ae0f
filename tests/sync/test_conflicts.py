"""A tenant's own entity is never overwritten: the catalogue's is held back there, and reported."""

import pytest

from controlplane.registry.ledger import count_ledger, sync_record
from provisioning.platform import Platform
from sync.gate import Freshness
from tests.provisioning.installations import create, sql
from tests.sync.catalogues import (
    add_role,
    add_server,
    on_tenant_one,
    permissions_of,
    roles_of,
    rows,
    tenant_of,
)

pytestmark = pytest.mark.anyio

OWN_ROLE = (
    "INSERT INTO roles (id, name, description, metadata, labels, is_system, created_at, updated_at)"
    " VALUES ('rol_own', 'Accountant', 'ours', '{}', '[]', 0, 1, 1)"
)
OWN_SERVER = (
    "INSERT INTO resource_servers SELECT 'rs_own', 'https://billing.example', 'Ours', signing_alg, token_lifetime,"
    " token_lifetime_for_web, allow_offline_access, enforce_policies, token_dialect,"
    " skip_consent_for_verifiable_first_party_clients, metadata, attributes, labels, 0, 0, 1, 1"
    " FROM resource_servers WHERE is_management"
)


async def test_a_role_of_the_same_name_holds_back_the_catalogues_there_only(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    tenant = await tenant_of(platform)
    await tenant.database.write(sql(OWN_ROLE))
    await add_role(platform, "rol_x", "Accountant")
    await add_role(platform, "rol_y", "Other")
    assert await platform.lifecycle.wait_synced() == 0
    assert await roles_of(tenant) == {"rol_own": ("Accountant", 0), "rol_y": ("Other", 1)}
    assert set(await roles_of(await tenant_of(platform, "globex"))) == {"rol_x", "rol_y"}
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert record.conflicts == (
        {"kind": "role", "id": "rol_x", "field": "name", "value": "Accountant", "own_id": "rol_own"},
    )
    assert await platform.registry.read(count_ledger, None, only="conflicts") == 1
    assert await platform.gate.ensure(tenant) is Freshness.FRESH
    drift = await platform.lifecycle.drift("acme")
    assert drift["in_sync"]
    assert len(drift["conflicts"]) == 1


async def test_a_conflict_ends_when_the_tenant_lets_go_of_the_name(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await tenant.database.write(sql(OWN_ROLE))
    await add_role(platform, "rol_x", "Accountant")
    await platform.lifecycle.wait_synced()
    await tenant.database.write(sql("UPDATE roles SET name = 'Our accountant' WHERE id = 'rol_own'"))
    answer = await platform.lifecycle.converge("acme")
    assert not answer["sync"]["conflicts"]
    assert await roles_of(tenant) == {"rol_own": ("Our accountant", 0), "rol_x": ("Accountant", 1)}


async def test_an_api_of_the_same_identifier_is_held_back_with_the_permissions_on_it(
    platform: Platform,
) -> None:
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await tenant.database.write(sql(OWN_SERVER))
    server = await add_server(platform, "billing", "read")
    await add_role(platform, "rol_x", "X", (server, "read"))
    assert await platform.lifecycle.wait_synced() == 0
    assert await rows(tenant, "SELECT id FROM resource_servers WHERE NOT is_management") == [("rs_own",)]
    assert await permissions_of(tenant, "rol_x") == set()
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert [item["kind"] for item in record.conflicts] == ["resource_server"]
    assert [item["role_id"] for item in record.dangling] == ["rol_x"]


async def test_a_copy_that_cannot_have_its_new_name_loses_its_permissions_all_the_same(
    platform: Platform,
) -> None:
    server = await add_server(platform, "billing", "read")
    await add_role(platform, "rol_x", "Old", (server, "read"))
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await tenant.database.write(sql(OWN_ROLE))
    await on_tenant_one(platform, "UPDATE roles SET name = 'Accountant' WHERE id = 'rol_x'")
    await on_tenant_one(platform, "DELETE FROM role_permissions WHERE role_id = 'rol_x'")
    await add_role(platform, "rol_z", "Old")  # takes the name that the copy must keep for now
    assert await platform.lifecycle.wait_synced() == 0
    assert await roles_of(tenant) == {"rol_own": ("Accountant", 0), "rol_x": ("Old", 1)}
    assert await permissions_of(tenant, "rol_x") == set()
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert {item["id"] for item in record.conflicts} == {"rol_x", "rol_z"}
