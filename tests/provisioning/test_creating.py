"""A tenant is made whole, by one of those who ask for it, and shares nothing with another."""

import asyncio
import sqlite3
from contextlib import suppress

import pytest

from controlplane.registry.operations import get_operation, list_operations
from controlplane.registry.tenants import find_tenant, get_tenant
from core.errors import Conflict, InvalidInput, NotFound
from core.settings import Settings
from core.tenants import TenantState
from provisioning.platform import Platform
from sync.gate import Freshness
from tenant_runtime.configuration import configuration
from tenant_runtime.management.permissions import PLATFORM, TENANT
from tests.provisioning.installations import create, opened, settle, sql

pytestmark = pytest.mark.anyio

STEPS = ["database", "schema", "first_rows", "catalogue", "organization", "activation"]


async def operator_of(platform: Platform) -> str:
    one = await platform.directory.control_plane()
    return (await one.database.read(sql("SELECT user_id FROM users")))[0][0]


async def test_a_new_tenant_is_active_and_its_operation_says_what_was_done(platform: Platform) -> None:
    operation = await platform.registry.read(get_operation, await create(platform, "acme"))
    assert operation.state == "succeeded"
    assert [step["name"] for step in operation.steps] == STEPS
    assert all(
        step["state"] == "succeeded" and step["ended_at"] >= step["started_at"] for step in operation.steps
    )
    tenant = await platform.directory.by_host("acme.localhost")
    assert tenant is not None
    assert tenant.state is TenantState.ACTIVE
    assert tenant.issuer == "http://acme.localhost:8000/"
    assert await platform.gate.ensure(tenant) is Freshness.FRESH


async def test_a_new_tenant_has_its_own_management_api_connection_and_clients(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    held = await configuration(tenant)
    assert held.management.identifier == "http://acme.localhost:8000/api/v2/"
    assert held.management.enforce_policies
    assert held.management.token_dialect == "access_token_authz"
    assert set(held.management.scopes) == set(TENANT)
    assert not held.management.platform_scopes
    assert {client.name for client in held.clients.values()} == {"All Applications", "Default App"}
    assert held.database_connection() is not None
    assert len(held.keys.public) == 1
    assert not held.roles


async def test_only_tenant_one_has_platform_scopes_and_the_operators_roles(platform: Platform) -> None:
    held = await configuration(await platform.directory.control_plane())
    assert held.management.platform_scopes == frozenset(PLATFORM)
    roles = {role.name: role.permissions[held.management.id] for role in held.roles.values()}
    assert roles["Tenant Admin"] == frozenset(TENANT)
    assert roles["Platform Admin"] == frozenset(TENANT) | frozenset(PLATFORM)
    assert all(permission.startswith("read:") for permission in roles["Tenant Member"])


async def test_an_id_is_taken_once(platform: Platform) -> None:
    await create(platform, "acme")
    with pytest.raises(Conflict) as refused:
        await create(platform, "acme")
    assert refused.value.code == "tenant_exists"


@pytest.mark.parametrize(
    "tenant_id",
    [
        "",
        "-a",
        "a-",
        "A",
        "a_b",
        "a.b",
        "../x",
        "a/b",
        "a" * 64,
        "\u00e4",
        "a\n",
        "www",
        "settings",
        "control-plane",
    ],
)
async def test_an_id_is_a_free_dns_label(platform: Platform, tenant_id: str) -> None:
    with pytest.raises(InvalidInput):
        await create(platform, tenant_id)
    assert await platform.registry.read(find_tenant, tenant_id) is None


async def test_an_organization_of_somebody_elses_keeps_its_name(platform: Platform) -> None:
    one = await platform.directory.control_plane()
    await one.database.write(
        sql(
            "INSERT INTO organizations (id, name, branding, metadata, created_at, updated_at)"
            " VALUES ('org_own', 'acme', '{}', '{}', 1, 1)"
        )
    )
    with pytest.raises(Conflict) as refused:
        await create(platform, "acme")
    assert refused.value.code == "organization_exists"
    assert await platform.registry.read(find_tenant, "acme") is None


async def test_the_creator_owns_the_tenants_organization_and_is_added_once(platform: Platform) -> None:
    creator = await operator_of(platform)
    await create(platform, "acme", creator_user_id=creator)
    tenant = await platform.registry.read(get_tenant, "acme")
    one = await platform.directory.control_plane()
    members = sql(
        "SELECT m.user_id, o.role, r.name FROM memberships m"
        " JOIN membership_organization_roles o ON o.membership_id = m.id"
        " JOIN membership_roles mr ON mr.membership_id = m.id JOIN roles r ON r.id = mr.role_id"
        " WHERE m.organization_id = :id",
        id=tenant.organization_id,
    )
    assert await one.database.read(members) == [(creator, "owner", "Tenant Admin")]
    await one.database.write(sql("DELETE FROM memberships"))
    await platform.lifecycle.converge("acme")
    assert await one.database.read(members) == []


async def test_nobody_is_added_when_the_creator_did_not_ask(platform: Platform) -> None:
    await create(platform, "acme", creator_user_id=await operator_of(platform), add_creator=False)
    one = await platform.directory.control_plane()
    assert await one.database.read(sql("SELECT count(*) FROM memberships")) == [(0,)]


async def test_no_two_tenants_share_a_key_a_secret_or_an_id(platform: Platform) -> None:
    names = [f"t{number}" for number in range(6)]
    for name in names:
        await create(platform, name)
    seen: dict[str, list[object]] = {}
    for name in [*names, "control_plane"]:
        tenant = await platform.directory.by_id(name)
        assert tenant is not None
        for what, statement in {
            "kid": "SELECT kid FROM signing_keys",
            "public key": "SELECT json_extract(public_jwk, '$.n') FROM signing_keys",
            "secret": "SELECT digest FROM client_secrets",
            "client": "SELECT client_id FROM clients",
            "server": "SELECT id FROM resource_servers",
            "connection": "SELECT id FROM connections",
            "incarnation": "SELECT incarnation FROM tenant",
        }.items():
            seen.setdefault(what, []).extend(row[0] for row in await tenant.database.read(sql(statement)))
        sealed = (await tenant.database.read(sql("SELECT sealed, id FROM client_secrets")))[0]
        seen.setdefault("clear secret", []).append(
            tenant.data_key.open(sealed[0], "client_secrets", "sealed", sealed[1])
        )
    for what, values in seen.items():
        assert len(set(values)) == len(values) >= len(names), what


async def test_nothing_of_one_tenant_stands_in_another_tenants_file(platform: Platform) -> None:
    for name in ("acme", "globex"):
        await create(platform, name)
        tenant = await platform.directory.by_id(name)
        assert tenant is not None
        word = f"canary-{name}"
        await tenant.database.write(sql("UPDATE clients SET description = :word", word=word))
    await create(platform, "initech")
    await settle(platform)
    await platform.databases.close()
    for path in platform.settings.data_dir.rglob("*.db"):
        content = path.read_bytes()
        for name in ("acme", "globex"):
            assert (f"canary-{name}".encode() in content) == path.name.startswith(f"{name}."), path


async def test_of_two_platforms_that_make_the_same_tenant_one_wins(settings: Settings) -> None:
    async with opened(settings) as first, opened(settings) as second:
        for turn in range(8):
            name = f"race{turn}"
            answers = await asyncio.gather(create(first, name), create(second, name), return_exceptions=True)
            assert sum(isinstance(answer, Conflict) for answer in answers) == 1, answers
            tenant = await second.directory.by_id(name)
            assert tenant is not None
            assert (await configuration(tenant)).version


async def test_deleting_while_creating_ends_in_one_of_the_two(settings: Settings) -> None:
    async with opened(settings) as first, opened(settings) as second:
        for turn in range(8):
            name = f"race{turn}"
            creating = asyncio.create_task(create(first, name))
            await asyncio.sleep(0.002 * turn)
            with suppress(NotFound):
                await second.lifecycle.delete(name)
            await creating
            await settle(second)
            found = await second.registry.read(find_tenant, name)
            assert found is None or found.state in ("active", "deleting"), found
            assert (await first.directory.by_id(name) is not None) == (
                found is not None and found.state == "active"
            )


async def test_the_file_says_whose_it_is_and_is_in_wal_mode(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await platform.registry.read(get_tenant, "acme")
    path = platform.settings.data_dir / tenant.location
    assert path.read_bytes()[18:20] == b"\x02\x02"
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT id, incarnation, converging FROM tenant").fetchall() == [
            ("acme", tenant.incarnation, 0)
        ]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_step_that_fails_is_named_and_tried_again(platform: Platform) -> None:
    from core import failpoints

    failpoints.configure("provision.organization.before=raise@1")
    operation_id = await create(platform, "acme")
    operation = await platform.registry.read(get_operation, operation_id)
    tenant = await platform.registry.read(get_tenant, "acme")
    assert (operation.state, tenant.state) == ("failed", "failed")
    assert operation.error is not None
    assert operation.error.startswith("organization: ")
    assert operation.steps[-1]["state"] == "failed"
    assert await platform.directory.by_id("acme") is None
    await platform.lifecycle.retry("acme")
    assert (await platform.registry.read(get_tenant, "acme")).state == "active"
    assert len(await platform.registry.read(list_operations, tenant_id="acme")) == 1


async def test_a_tenant_may_be_called_as_the_registry_is(platform: Platform) -> None:
    await create(platform, "registry")
    tenant = await platform.directory.by_id("registry")
    assert tenant is not None
    assert (await tenant.database.read(sql("SELECT id FROM tenant"))) == [("registry",)]
