"""The Model Context Protocol on the wire: versions, methods, and what is no message of it."""

from typing import Any

import pytest

from tests.agents.callers import Agent, agent_for, message
from tests.installation import Installation

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(shared: Installation) -> Agent:
    return await agent_for(shared, "acme", shared.tenant("acme").users[0])


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        (None, "2025-11-25"),
        ({}, "2025-11-25"),
    ],
)
async def test_a_handshake_agrees_on_a_version(ada: Agent, asked: Any, agreed: str) -> None:
    result = await ada.ask("initialize", {"protocolVersion": asked, "capabilities": {}, "clientInfo": {}})
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {}}
    assert (result["serverInfo"]["name"], result["serverInfo"]["title"]) == ("keystead", "Acme")


async def test_what_follows_a_handshake_is_accepted_without_an_answer(ada: Agent) -> None:
    for told in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
    ):
        answer = await ada.post(told, **{"MCP-Protocol-Version": "2025-11-25"})
        assert (answer.status_code, answer.content) == (202, b"")


async def test_without_a_handshake_each_request_stands_for_itself(ada: Agent) -> None:
    found = await ada.ask(
        "server/discover", **{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "server/discover"}
    )
    assert "2026-07-28" in found["supportedVersions"]
    assert found["resultType"] == "complete"
    listed = await ada.ask("tools/list", **{"MCP-Protocol-Version": "2026-07-28"})
    assert (listed["resultType"], listed["cacheScope"]) == ("complete", "public")
    for tool in listed["tools"]:
        assert tool["inputSchema"]["type"] == "object"
        assert tool["inputSchema"]["additionalProperties"] is False


async def test_a_header_that_contradicts_the_message_is_refused(ada: Agent) -> None:
    call = message("tools/call", {"name": "list-organizations", "arguments": {}})
    for headers in ({"Mcp-Method": "tools/list"}, {"Mcp-Method": "tools/call", "Mcp-Name": "remove-member"}):
        answer = await ada.post(call, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    answer = await ada.post(call, **{"MCP-Protocol-Version": "1999-01-01"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32022)
    assert "2025-11-25" in answer.json()["error"]["data"]["supported"]


async def test_an_unknown_method_or_tool_is_an_error_of_the_protocol(ada: Agent) -> None:
    assert (await ada.ask("resources/list"))["code"] == -32601
    for name in ("drop-database", "", None, ["list-members"]):
        assert (await ada.ask("tools/call", {"name": name}))["code"] == -32602
    assert (await ada.ask("ping")) == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 5000, -32600),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 9000 + b"]" * 9000 + b"}}",
            -32700,
        ),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":["ping"]}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\\u0000b"}}', -32600),
        (b'{"jsonrpc":"2.0","id":"' + b"x" * 300 + b'","method":"ping"}', -32600),
    ],
)
async def test_what_is_no_message_is_refused(ada: Agent, body: bytes, code: int) -> None:
    answer = await ada.post(body, **{"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["id"] is None


async def test_only_json_is_posted_and_no_stream_is_opened(ada: Agent) -> None:
    assert (await ada.post(b"{}", **{"Content-Type": "text/plain"})).status_code == 415
    assert (await ada.post(b" " * 70_000, **{"Content-Type": "application/json"})).status_code == 413
    headers = {"Authorization": f"Bearer {ada.token}", "Accept": "text/event-stream"}
    for method in ("GET", "DELETE", "PUT"):
        answer = await ada.http.request(method, f"{ada.issuer}mcp", headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), method


async def test_a_page_of_any_origin_may_call_with_its_token(shared: Installation, ada: Agent) -> None:
    """No cookie counts here, so there is nothing that a foreign page could use."""
    asked = {"Origin": "https://inspector.example", "Access-Control-Request-Method": "POST"}
    preflight = await shared.http.options(f"{ada.issuer}mcp", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "*"
    allowed = preflight.headers["access-control-allow-headers"]
    assert {"authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"} <= set(
        allowed.split(", ")
    )
    answer = await ada.post(message("ping"), Origin="https://inspector.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
