"""Agents that nobody here wrote find a tenant's `/mcp`, register, have a person sign in, and manage organizations."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import CallToolResult

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, DemoTenant
from tests.clients.conftest import PACKAGES, Served, node
from tests.clients.openid_client import HERE, SECONDS

pytestmark = pytest.mark.anyio
TOOLS = {
    "list-organizations", "create-organization", "switch-organization", "list-members", "invite-member",
    "update-member-role", "remove-member",
}  # fmt: skip


@pytest.fixture
async def open_door(served: Served) -> DemoTenant:
    """Its tenant lets clients register themselves."""
    async with served.http() as http:
        await (await served.manager(http)).patch(
            "/tenants/settings", {"client_registration": {"mode": "open"}}
        )
    return served.tenant


async def approved(served: Served, tenant: DemoTenant, address: str) -> str:
    """A person signs in, reads what the agent asks for, and allows it; answers where they were sent."""
    async with served.http() as http:
        browser = Browser(http, stops=(CALLBACK,))
        await browser.open(address)
        await browser.submit({"email": tenant.users[0].email})
        page = await browser.submit({"password": tenant.users[0].password})
        assert "See your organizations and who is in them" in page.text
        await browser.submit(button=("decision", "allow"))
        assert browser.landed is not None
        return browser.landed


@dataclass
class Kept:
    """What the agent stores, in memory."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    asked: list[str] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@asynccontextmanager
async def agent(served: Served, tenant: DemoTenant, kept: Kept, mode: str = "auto") -> AsyncIterator[Client]:
    landed: list[str] = []

    async def open_browser(address: str) -> None:
        kept.asked.append(address)
        landed.append(await approved(served, tenant, address))

    async def came_back() -> AuthorizationCodeResult:
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed.pop()).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])

    address = f"{tenant.issuer}mcp"
    metadata = OAuthClientMetadata.model_validate(
        {"client_name": "Agent", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    )
    trusted = ssl.create_default_context(cafile=str(served.authority.file))
    auth = OAuthClientProvider(address, metadata, kept, open_browser, came_back)
    async with (
        httpx2.AsyncClient(verify=trusted, auth=auth, timeout=30) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield client


async def use(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result
    assert isinstance(result.structured_content, dict)
    return result.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
async def test_the_client_of_the_mcp_package_manages_an_organization(
    served: Served, open_door: DemoTenant, mode: str
) -> None:
    kept = Kept()
    async with agent(served, open_door, kept, mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        slug = f"of-agent-{secrets.token_hex(4)}"
        organization = (await use(client, "create-organization", name="Agents", slug=slug))["organization"]
        invited = await use(
            client, "invite-member", organizationId=organization["id"], email="new@elsewhere.example"
        )
        assert invited["invitation"]["status"] == "pending"
        members = await use(client, "list-members", organizationId=organization["id"])
        assert [each["role"] for each in members["members"]] == ["owner"]
        refused = await client.call_tool(
            "remove-member",
            {"organizationId": organization["id"], "memberIdOrEmail": members["members"][0]["id"]},
        )
        assert isinstance(refused, CallToolResult)
        assert refused.is_error
        assert isinstance(refused.structured_content, dict)
        assert refused.structured_content["code"] == "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER"
    asked = parse_qs(urlsplit(kept.asked[0]).query)
    assert asked["resource"] == [f"{open_door.issuer}mcp"]
    assert asked["code_challenge_method"] == ["S256"]
    assert kept.client is not None
    assert kept.tokens is not None
    assert {"organizations:read", "organizations:write"} <= set((kept.tokens.scope or "").split())


async def test_its_token_and_its_client_are_worth_nothing_in_another_tenant(
    served: Served, open_door: DemoTenant
) -> None:
    kept = Kept()
    async with agent(served, open_door, kept) as client:
        await client.list_tools()
    assert kept.tokens is not None
    assert kept.client is not None
    other = served.demo.tenants[1]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with served.http() as http:
        headers = {"Authorization": f"Bearer {kept.tokens.access_token}"}
        assert (await http.post(f"{other.issuer}mcp", json=message, headers=headers)).status_code == 401
        form = {
            "grant_type": "refresh_token",
            "refresh_token": kept.tokens.refresh_token,
            "client_id": kept.client.client_id,
        }
        assert (await http.post(f"{other.issuer}oauth/token", data=form)).status_code in (400, 401)


@pytest.mark.npm
@pytest.mark.skipif(not PACKAGES.exists() or node() is None, reason="needs Node and its packages")
async def test_the_client_from_npm_manages_an_organization(served: Served, open_door: DemoTenant) -> None:
    program = node()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        "--no-warnings",
        f"--import={HERE / 'localhost.mjs'}",
        str(HERE / "mcp_client.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"NODE_EXTRA_CA_CERTS": str(served.authority.file), "PATH": "/usr/bin:/bin"},
    )
    assert process.stdin is not None
    assert process.stdout is not None

    async def told(line: Any) -> Any:
        process.stdin.write(msgspec.json.encode(line) + b"\n")  # type: ignore[union-attr]
        return msgspec.json.decode(await process.stdout.readline())  # type: ignore[union-attr]

    try:
        async with asyncio.timeout(SECONDS):
            opened = await told({"address": f"{open_door.issuer}mcp", "redirect_uri": CALLBACK})
            ready = (await told({"landed": await approved(served, open_door, opened["open"])}))["ready"]
            assert set(ready["tools"]) == TOOLS
            assert ready["server"]["title"] == "Acme"
            assert parse_qs(urlsplit(ready["asked"]).query)["resource"] == [f"{open_door.issuer}mcp"]

            slug = f"of-npm-{secrets.token_hex(4)}"
            made = await told(["create-organization", {"name": "Agents", "slug": slug}])
            organization_id = made["value"]["organization"]["id"]
            listed = await told(["list-members", {"organizationId": organization_id}])
            assert listed["value"]["total"] == 1
            elsewhere = served.demo.tenants[1].organizations[0].id
            refused = await told(["list-members", {"organizationId": elsewhere}])
            assert (refused["isError"], refused["value"]["code"]) == (
                True,
                "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION",
            )
            result = (await told([]))["result"]
            assert {"organizations:read", "organizations:write"} <= set(result["scope"].split())
            process.stdin.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
