"""`/mcp` of a tenant that does not serve as usual, and of a token that is over before its request is."""

import json
from collections.abc import AsyncIterator

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


async def test_nothing_is_done_for_whose_token_is_over_while_a_body_comes_in(
    installation: Installation,
) -> None:
    acme, manager = installation.tenant("acme"), await installation.manager("acme")
    agent = await agent_for(installation, "acme", acme.users[0])
    asked = message(
        "tools/call", {"name": "create-organization", "arguments": {"name": "Late", "slug": "late"}}
    )
    [person] = await manager.get("/users-by-email", email=acme.users[0].email)

    async def content() -> AsyncIterator[bytes]:
        whole = json.dumps(asked).encode()
        yield whole[:1]
        for blocked in (True, False):
            await manager.patch(f"/users/{person['user_id']}", {"blocked": blocked})
        yield whole[1:]

    headers = {"Authorization": f"Bearer {agent.token}", "Content-Type": "application/json"}
    late = await agent.http.post(f"{agent.issuer}mcp", content=content(), headers=headers)
    assert late.json()["result"]["isError"] is True
    assert late.json()["result"]["structuredContent"]["code"] == "INVALID_TOKEN"
    assert [each["name"] for each in await manager.get("/organizations") if each["name"] == "late"] == []
