"""Programs that act for people: an access token, and the tools that it opens."""

from dataclasses import dataclass
from typing import Any

import httpx

from entrypoints.demo_content import DemoUser
from tests.installation import Installation
from tests.relying_party import Answer, RelyingParty

VERSION = "2025-11-25"
"""The newest with a handshake, which is forgotten as soon as it is over."""

SCOPE = "openid offline_access organizations:read organizations:write"


WITHOUT_HANDSHAKE = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": WITHOUT_HANDSHAKE,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool answered."""

    is_error: bool
    value: dict[str, Any]

    @property
    def code(self) -> str | None:
        return self.value["code"] if self.is_error else None


@dataclass(frozen=True, slots=True)
class Agent:
    http: httpx.AsyncClient
    issuer: str
    token: str

    async def post(self, body: Any, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.token}", "MCP-Protocol-Version": VERSION, **headers}
        if isinstance(body, bytes):
            return await self.http.post(f"{self.issuer}mcp", content=body, headers=sent)
        return await self.http.post(f"{self.issuer}mcp", json=body, headers=sent)

    async def ask(self, method: str, params: dict[str, Any] | None = None, **headers: str) -> Any:
        """The answer to one request, result or error."""
        answer = await self.post(message(method, params), **headers)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["jsonrpc"], body["id"]) == ("2.0", 1)
        return body.get("result", body.get("error"))

    async def alone(self, method: str, **params: Any) -> httpx.Response:
        """A request as the version without a handshake has it: it says everything itself."""
        headers = {"MCP-Protocol-Version": WITHOUT_HANDSHAKE, "Mcp-Method": method}
        if "name" in params:
            headers["Mcp-Name"] = params["name"]
        return await self.post(message(method, {**params, "_meta": _META}), **headers)

    async def use(self, tool: str, **arguments: Any) -> Told:
        result = await self.ask("tools/call", {"name": tool, "arguments": arguments})
        return Told(result["isError"], result["structuredContent"])


def message(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    asked: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method}
    return asked if params is None else {**asked, "params": params}


async def tokens(
    installation: Installation, tenant_id: str, user: DemoUser, **changes: str | None
) -> tuple[RelyingParty, Answer]:
    """A person signs in, in a browser of their own, for what agents call."""
    party = installation.relying_party(tenant_id)
    party = RelyingParty(
        httpx.AsyncClient(transport=httpx.ASGITransport(app=installation.app), timeout=30),
        party.issuer,
        party.client,
        party.audience,
        user,
    )
    asked: dict[str, str | None] = {"audience": None, "resource": f"{party.issuer}mcp", "scope": SCOPE}
    return party, await party.sign_in(**{**asked, **changes})


async def agent_for(
    installation: Installation, tenant_id: str, user: DemoUser, **changes: str | None
) -> Agent:
    party, answer = await tokens(installation, tenant_id, user, **changes)
    return Agent(installation.http, party.issuer, answer.access_token)
