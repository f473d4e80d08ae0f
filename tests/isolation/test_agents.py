"""Asked of every tool of `/mcp`: a neighbour's token, a neighbour's ids, and a token of somebody without a role do
nothing. A tool that is added tomorrow is asked the same."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from entrypoints.demo_content import DemoUser
from tenant_runtime.agents.resource import SCOPES
from tenant_runtime.agents.tools import TOOLS, Tool
from tests.agents.callers import Agent, agent_for, message
from tests.installation import Installation
from tests.isolation.conftest import A, B
from tests.isolation.organization_standing import Standing
from tests.isolation.rows import TRAIL, all_rows, transitions
from tests.organizations.people import AuthClient

pytestmark = pytest.mark.anyio

ON_ORGANIZATIONS = [
    tool for tool in TOOLS if "organizationId" in tool.described()["inputSchema"]["properties"]
]
EVERY = pytest.mark.parametrize("tool", TOOLS, ids=[tool.name for tool in TOOLS])
EACH = pytest.mark.parametrize("tool", ON_ORGANIZATIONS, ids=[tool.name for tool in ON_ORGANIZATIONS])


def arguments(tool: Tool, ids: dict[str, str]) -> dict[str, Any]:
    """Good ones: what is refused is refused for whose they are."""
    known = {
        "organization_id": ids["organization"],
        "member_id": ids["member"],
        "member_id_or_email": ids["member"],
        "email": "stranger@elsewhere.example",
        "roles": ["guest"],
        "name": "Not made",
        "slug": "not-made",
    }
    fields = msgspec.structs.fields(tool.arguments)
    return {field.encode_name: known[field.name] for field in fields if field.name in known}


async def agent_of(installation: Installation, tenant_id: str, person: AuthClient) -> Agent:
    return await agent_for(installation, tenant_id, DemoUser(person.email, person.password))


@pytest.fixture(scope="module")
async def of_owner(shared: Installation, own: Standing) -> Agent:
    return await agent_of(shared, A, own.owner)


@pytest.fixture(scope="module")
async def of_guest(shared: Installation, own: Standing) -> Agent:
    return await agent_of(shared, A, own.guest)


@pytest.fixture(scope="module")
async def of_neighbour(shared: Installation, neighbour: Standing) -> Agent:
    return await agent_of(shared, B, neighbour.owner)


@pytest.fixture
async def nothing_changes(
    shared: Installation, of_owner: Agent, of_guest: Agent, of_neighbour: Agent, other: Standing
) -> AsyncIterator[None]:
    await shared.running.platform.lifecycle.wait_synced()
    before = await all_rows(shared, without=TRAIL)
    yield
    assert transitions(before, await all_rows(shared, without=TRAIL)) == []


@pytest.mark.usefixtures("nothing_changes")
@EVERY
async def test_a_token_of_b_is_nothing_at_a(
    of_owner: Agent, of_neighbour: Agent, own: Standing, tool: Tool
) -> None:
    intruder = Agent(of_neighbour.http, of_owner.issuer, of_neighbour.token)
    asked = message("tools/call", {"name": tool.name, "arguments": arguments(tool, own.ids)})
    assert (await intruder.post(asked)).status_code == 401
    assert (await intruder.post(asked, Authorization="")).status_code == 401


@pytest.mark.usefixtures("nothing_changes")
@EACH
async def test_ids_of_a_neighbour_or_of_another_organization_lead_nowhere(
    of_owner: Agent, own: Standing, other: Standing, neighbour: Standing, tool: Tool
) -> None:
    for foreign in (other.ids, neighbour.ids):
        assert (await of_owner.use(tool.name, **arguments(tool, foreign))).is_error
        mixed = {**own.ids, "member": foreign["member"]}
        if {"memberId", "memberIdOrEmail"} & arguments(tool, mixed).keys():
            assert (await of_owner.use(tool.name, **arguments(tool, mixed))).is_error


@pytest.mark.usefixtures("nothing_changes")
@EACH
async def test_who_has_no_role_that_may_changes_nothing(of_guest: Agent, own: Standing, tool: Tool) -> None:
    told = await of_guest.use(tool.name, **arguments(tool, own.ids))
    assert told.is_error == (not tool.described()["annotations"]["readOnlyHint"])


def test_every_scope_is_some_tools() -> None:
    assert {tool.scope for tool in TOOLS} == set(SCOPES)
