"""`/mcp` of a tenant that does not serve as usual."""

import pytest
from sqlalchemy import text

from tests.agents.callers import agent_for, message
from tests.controlplane.conftest import platform_of
from tests.installation import Installation

pytestmark = pytest.mark.anyio


async def test_a_suspended_tenants_agents_do_nothing_until_it_is_resumed(installation: Installation) -> None:
    acme, platform = installation.tenant("acme"), await platform_of(installation)
    agent = await agent_for(installation, "acme", acme.users[0])
    assert (await platform("POST", "/tenants/acme/suspend")).status_code == 200
    refused = await agent.post(message("tools/list"))
    assert (refused.status_code, refused.json()["error"]) == (403, "tenant_suspended")
    assert (await platform("POST", "/tenants/acme/resume")).status_code == 200
    assert (await agent.post(message("tools/list"))).status_code == 200


async def test_a_tenant_that_waits_for_its_migration_says_so(behind: Installation) -> None:
    acme = behind.tenant("acme")
    agent = await agent_for(behind, "acme", acme.users[0])
    refused = await agent.post(message("tools/list"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")


async def test_an_api_that_a_tenant_made_there_before_keeps_its_address(installation: Installation) -> None:
    """Its tokens are its own, and there are no agents' tools."""
    acme = installation.tenant("acme")
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    manager = await installation.manager("acme")
    made = await manager.post("/resource-servers", {"identifier": "https://tools.example/", "name": "Tools"})
    moved = text("UPDATE resource_servers SET identifier = :address WHERE id = :id")
    values = {"address": f"{acme.issuer}mcp", "id": made["id"]}
    await tenant.database.write(lambda connection: connection.execute(moved, values).rowcount)
    agent = await agent_for(installation, "acme", acme.users[0], scope="openid")
    assert (await agent.post(message("tools/list"))).status_code == 401
