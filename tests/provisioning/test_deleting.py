"""Deleting stops sign-in at once, destroys after the grace, and keeps the id for ever."""

import pytest
from sqlalchemy import Connection, insert

from controlplane.registry.operations import get_operation
from controlplane.registry.tenants import RegisteredTenant, get_tenant
from core.errors import Conflict, Forbidden, NotFound
from core.tenants import TenantState
from provisioning.platform import Platform
from tenant_runtime.models import OrganizationConnection, OrganizationRole, OrganizationSetting
from tests.provisioning.installations import MovableClock, create, files_in, settle, sql

pytestmark = pytest.mark.anyio

DAY = 86_400
RULES = tuple(model.__table__ for model in (OrganizationSetting, OrganizationConnection, OrganizationRole))


async def registered(platform: Platform) -> RegisteredTenant:
    return await platform.registry.read(get_tenant, "acme")


async def test_a_deleted_tenant_is_unknown_at_once_and_its_file_stays_for_the_grace(
    platform: Platform,
) -> None:
    await create(platform, "acme")
    assert await platform.directory.by_host("acme.localhost") is not None
    operation_id = await platform.lifecycle.delete("acme")
    assert await platform.directory.by_host("acme.localhost") is None
    assert await platform.directory.by_id("acme") is None
    tenant = await registered(platform)
    assert tenant.state == "deleting"
    assert tenant.purge_after is not None
    assert (await platform.registry.read(get_operation, operation_id)).state == "pending"
    assert tenant.location in files_in(platform.settings.data_dir)
    one = await platform.directory.control_plane()
    assert await one.database.read(sql("SELECT id FROM organizations")) == []
    assert await platform.lifecycle.delete("acme") == operation_id


async def test_after_the_grace_file_and_key_are_gone_and_the_id_stays_taken(
    platform: Platform, clock: MovableClock
) -> None:
    await create(platform, "acme")
    operation_id = await platform.lifecycle.delete("acme")
    await settle(platform)
    assert (await registered(platform)).state == "deleting"
    clock.ahead += 8 * DAY
    await settle(platform)
    tenant = await registered(platform)
    assert (tenant.state, tenant.wrapped_key) == ("deleted", None)
    assert (await platform.registry.read(get_operation, operation_id)).state == "succeeded"
    assert not list(platform.settings.data_dir.rglob("*acme*"))
    with pytest.raises(Conflict):
        await create(platform, "acme")
    with pytest.raises(NotFound):
        await platform.lifecycle.delete("acme")
    with pytest.raises(Conflict):
        await platform.lifecycle.restore("acme")


def asks_for_more(connection: Connection, organization_id: str) -> None:
    """Its settings, the one connection that it takes, a role of its own."""
    settings, ways, roles = RULES
    said = {"settings": {"require_mfa": True}, "updated_at": 1}
    connection.execute(insert(settings), {"organization_id": organization_id, **said})
    way = {"connection_id": "con_x", "created_at": 1}
    connection.execute(insert(ways), {"organization_id": organization_id, **way})
    role = {
        "id": "orl_x",
        "role": "auditor",
        "permission": {"member": ["read"]},
        "fields": {},
        "created_at": 1,
    }
    connection.execute(insert(roles), {"organization_id": organization_id, **role})


async def test_restore_brings_it_back_with_its_people_and_its_state(
    platform: Platform, clock: MovableClock
) -> None:
    one = await platform.directory.control_plane()
    creator = (await one.database.read(sql("SELECT user_id FROM users")))[0][0]
    await create(platform, "acme", creator_user_id=creator)
    members = sql(
        "SELECT m.id, m.user_id, o.role FROM memberships m"
        " JOIN membership_organization_roles o ON o.membership_id = m.id"
    )
    before = await one.database.read(members)
    assert len(before) == 1
    await platform.lifecycle.suspend("acme")
    organization = (await registered(platform)).organization_id
    assert organization is not None
    await one.database.write(asks_for_more, organization)
    rules = [sql(f"SELECT * FROM {table.name}") for table in RULES]
    asked = [await one.database.read(each) for each in rules]
    assert all(len(rows) == 1 for rows in asked)
    await platform.lifecycle.delete("acme")
    assert await one.database.read(members) == []
    assert [await one.database.read(each) for each in rules] == [[]] * len(RULES)
    await platform.lifecycle.restore("acme")
    tenant = await registered(platform)
    assert (tenant.state, tenant.purge_after, tenant.organization_id) == ("suspended", None, organization)
    assert await one.database.read(members) == before
    assert [await one.database.read(each) for each in rules] == asked, "it asks for no less than it did"
    clock.ahead += 30 * DAY
    await settle(platform)
    await platform.lifecycle.resume("acme")
    assert await platform.directory.by_id("acme") is not None


async def test_tenant_one_cannot_be_deleted_or_suspended(platform: Platform) -> None:
    for change in (platform.lifecycle.delete, platform.lifecycle.suspend):
        with pytest.raises(Forbidden):
            await change("control_plane")


async def test_suspending_shows_at_the_next_request_and_can_be_undone(platform: Platform) -> None:
    await create(platform, "acme")
    for change, state in (
        (platform.lifecycle.suspend, TenantState.SUSPENDED),
        (platform.lifecycle.suspend, TenantState.SUSPENDED),
        (platform.lifecycle.resume, TenantState.ACTIVE),
    ):
        await change("acme")
        tenant = await platform.directory.by_host("acme.localhost")
        assert tenant is not None
        assert tenant.state is state


async def test_the_organizations_name_follows_the_tenants(platform: Platform) -> None:
    await create(platform, "acme")
    await platform.lifecycle.rename("acme", 'Acme "Rockets" & Søns')
    one = await platform.directory.control_plane()
    rows = await one.database.read(sql("SELECT name, display_name FROM organizations"))
    assert rows == [("acme", 'Acme "Rockets" & Søns')]
    assert (await registered(platform)).display_name == 'Acme "Rockets" & Søns'
