"""The Model Context Protocol on the wire: versions, methods, and what is no message of it."""

import asyncio
import io
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.agents.callers import VERSION, WITHOUT_HANDSHAKE, Agent, agent_for, message
from tests.installation import Installation

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
CLIENT = {"name": "test", "version": "1"}
EITHER = pytest.mark.parametrize("version", [VERSION, WITHOUT_HANDSHAKE])


@pytest.fixture
async def ada(shared: Installation) -> Agent:
    return await agent_for(shared, "acme", shared.tenant("acme").users[0])


def error_of(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
    ],
)
async def test_a_handshake_agrees_on_a_version(ada: Agent, asked: str, agreed: str) -> None:
    asked_for = {"protocolVersion": asked, "capabilities": {}, "clientInfo": CLIENT}
    result = await ada.ask("initialize", asked_for)
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {"listChanged": False}}
    assert (result["serverInfo"]["name"], result["serverInfo"]["title"]) == ("keystead", "Acme")


@pytest.mark.parametrize("version", [None, {}, 1])
async def test_a_handshake_without_a_version_is_refused(ada: Agent, version: Any) -> None:
    asked = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    assert (await ada.ask("initialize", asked))["code"] == -32602


async def test_what_follows_a_handshake_is_accepted_without_an_answer(ada: Agent) -> None:
    for told in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
    ):
        answer = await ada.post(told)
        assert (answer.status_code, answer.content) == (202, b"")


async def test_without_a_handshake_each_request_stands_for_itself(ada: Agent) -> None:
    found = (await ada.alone("server/discover")).json()["result"]
    assert found["supportedVersions"] == [WITHOUT_HANDSHAKE]
    listed = (await ada.alone("tools/list")).json()["result"]
    for result in (found, listed):
        assert (result["resultType"], result["cacheScope"]) == ("complete", "public")
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["title"] == "Acme"
    for tool in listed["tools"]:
        assert tool["inputSchema"]["type"] == "object"
        assert tool["inputSchema"]["additionalProperties"] is False
    called = (await ada.alone("tools/call", name="list-organizations")).json()["result"]
    assert json.loads(called["content"][0]["text"]) == called["structuredContent"]


async def test_a_header_that_contradicts_the_message_is_refused(ada: Agent) -> None:
    asked = (await ada.alone("tools/call", name="list-organizations")).request
    for changed in (
        {"Mcp-Method": "tools/list"},
        {"Mcp-Name": "remove-member"},
        {"MCP-Protocol-Version": "1999-01-01"},
    ):
        headers = {name: asked.headers[name] for name in ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name")}
        answer = await ada.post(asked.content, **JSON, **{**headers, **changed})
        assert error_of(answer) == (400, -32020), changed
    unknown = asked.content.replace(WITHOUT_HANDSHAKE.encode(), b"1999-01-01")
    answer = await ada.post(unknown, **JSON, **{**headers, "MCP-Protocol-Version": "1999-01-01"})
    assert error_of(answer) == (400, -32022)
    assert answer.json()["error"]["data"]["supported"] == [WITHOUT_HANDSHAKE]


async def test_an_unknown_method_or_tool_is_an_error_of_the_protocol(ada: Agent) -> None:
    for method in ("resources/list", "subscriptions/listen", "drop/database"):
        assert (await ada.ask(method))["code"] == -32601
        assert (await ada.alone(method, notifications={})).status_code in (400, 404)
    for name in ("drop-database", "", "a\0b", None, ["list-members"]):
        assert (await ada.ask("tools/call", {"name": name}))["code"] == -32602
    assert error_of(await ada.alone("tools/call", name="drop-database")) == (400, -32602)
    assert (await ada.ask("ping")) == {}


@pytest.mark.parametrize(
    ("body", "with_handshake", "without"),
    [
        (b"", -32700, -32700),
        (b"{", -32700, -32700),
        (b"\xff\xfe", -32700, -32700),
        (b"[" * 5000, -32700, -32700),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 9000 + b"]" * 9000 + b"}}",
            -32700,
            -32700,
        ),
        (b"1" + b"0" * 5000, -32700, -32700),
        (b"null", -32602, -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32602, -32600),
        (b'{"id":1,"method":"ping"}', -32602, -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32602, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":["ping"]}', -32602, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32602, -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None, -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
    ],
)
async def test_what_is_no_message_is_refused(
    ada: Agent, body: bytes, with_handshake: int | None, without: int
) -> None:
    """None: with an id that is none, it is a notification, which nobody here waits for."""
    for version, code in ((VERSION, with_handshake), (WITHOUT_HANDSHAKE, without)):
        answer = await ada.post(body, **JSON, **{"MCP-Protocol-Version": version})
        if code is None:
            assert (answer.status_code, answer.content) == (202, b"")
        else:
            assert (error_of(answer), answer.json()["id"]) == ((400, code), None)


@pytest.mark.parametrize("value", [rb'"\ud800"', rb'"a\u0000b"', b"[" * 150 + b"]" * 150, b"1" * 400, b"NaN"])
@EITHER
async def test_an_argument_that_nothing_can_store_reaches_no_tool(
    ada: Agent, version: str, value: bytes
) -> None:
    asked = (await ada.alone("tools/call", name="list-members", arguments={"organizationId": "x"})).request
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": "list-members"}
    answer = await ada.post(asked.content.replace(b'"x"', value), **JSON, **headers)
    if answer.status_code != 200:
        assert error_of(answer) == (400, -32700)
    else:
        assert answer.json()["result"]["structuredContent"]["code"] == "VALIDATION_ERROR"


@EITHER
async def test_only_json_is_posted_and_no_stream_is_opened(ada: Agent, version: str) -> None:
    spoken = {"MCP-Protocol-Version": version}
    assert (await ada.post(b"{}", **{"Content-Type": "text/plain"}, **spoken)).status_code == 415
    assert (await ada.post(b" " * 70_000, **JSON, **spoken)).status_code == 413
    assert (await ada.post(b"{}", **JSON, **spoken, Accept="text/html")).status_code == 406
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
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-credentials" not in answer.headers


async def test_of_many_that_call_at_once_each_gets_their_own_answer(shared: Installation) -> None:
    ada, ben = [await agent_for(shared, "acme", user) for user in shared.tenant("acme").users[:2]]
    own = [(await agent.use("list-organizations")).value for agent in (ada, ben)]
    assert own[0] != own[1]
    told = await asyncio.gather(
        *(agent.use("list-organizations") for agent in (ada, ben) * 5),
        *(agent.alone("tools/call", name="list-organizations") for agent in (ada, ben) * 5),
    )
    assert [each.value for each in told[:10]] == own * 5
    assert [each.json()["result"]["structuredContent"] for each in told[10:]] == own * 5


@EITHER
async def test_nothing_outlives_a_request_that_is_given_up(ada: Agent, version: str) -> None:
    async def call() -> httpx.Response:
        if version == VERSION:
            return await ada.post(message("tools/call", {"name": "list-organizations"}))
        return await ada.alone("tools/call", name="list-organizations")

    given_up = 0
    for milliseconds in range(12):
        try:
            async with asyncio.timeout(milliseconds / 1000):
                await call()
        except TimeoutError:
            given_up += 1
    assert given_up
    assert (await call()).status_code == 200
    tasks = [task.get_coro() for task in asyncio.all_tasks()]
    assert not [task for task in tasks if task is not None and "/mcp/" in task.cr_code.co_filename]


async def test_what_breaks_in_a_tool_is_for_the_log_and_not_for_the_agent(
    shared: Installation, ada: Agent, log: io.BytesIO
) -> None:
    organization = (await ada.use("list-organizations")).value["organizations"][0]["id"]
    asked = {"name": "list-members", "arguments": {"organizationId": organization}}
    tenant = await shared.running.platform.directory.by_id("acme")
    assert tenant is not None

    async def rename(old: str, new: str) -> None:
        renamed = text(f"ALTER TABLE {old} RENAME TO {new}")
        await tenant.database.write(lambda connection: connection.execute(renamed).rowcount)

    await rename("memberships", "taken_away")
    try:
        broken = [await ada.post(message("tools/call", asked)), await ada.alone("tools/call", **asked)]
    finally:
        await rename("taken_away", "memberships")
    for answer in broken:
        assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
        assert "memberships" not in answer.text
    said = log.getvalue()
    assert said.count(b"memberships") >= len(broken)
    assert ada.token.encode() not in said
    assert b"StreamableHTTP" not in said, "the package speaks of what goes wrong and of nothing else"
