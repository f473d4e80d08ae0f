"""The protocol's server side, by the package `mcp`: its server, its transport and their tasks live for one request.

No other module imports the package, and this one is imported at the first call (`endpoint.py`). It is handed the
protocol's headers and no others, so that it holds no token which it could log.
"""

from collections.abc import MutableMapping
from typing import Any, Final

import msgspec
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)

from tenant_runtime.agents.resource import PATH
from tenant_runtime.agents.tool_calls import ToolCall
from tenant_runtime.agents.tools import BY_NAME, TOOLS, Outcome, run
from tenant_runtime.oauth.wire import Answer, Call, empty_answer, encoded_answer

Event = MutableMapping[str, Any]
"""One of ASGI's."""

NAME, VERSION = "keystead", "1"
"""The version is that of the tools. Which release serves them is nobody's business."""

INSTRUCTIONS: Final = (
    "Tools act in the name of the person who signed in, with that person's rights in each organization and no others."
    " A tool that is not told an organization acts in the one that the access token is for."
)
_LISTED = ListToolsResult.model_validate({"tools": [tool.described() for tool in TOOLS]})
_SCHEMAS = {tool.name: tool.input_schema for tool in _LISTED.tools}
_KEPT = CacheHint(ttl_ms=300_000, scope="public")
"""The same for everybody, until the next release."""


async def answer_to(body: bytes, tool_call: ToolCall) -> Answer:
    """The protocol's answer to a message. What is none (a scope that the token lacks, a database that is away) is
    raised here, whatever the package made of it."""
    tools, sent = _Tools(tool_call), _Sent()
    manager = StreamableHTTPSessionManager(_server(tools), json_response=True, stateless=True)
    async with manager.run():
        await manager.handle_request(_scope(tool_call.call), _Received(body, tool_call.call), sent)
    if tools.raised is not None:
        raise tools.raised
    return encoded_answer(sent.body, status=sent.status) if sent.body else empty_answer(status=sent.status)


class _Tools:
    """For one caller."""

    def __init__(self, tool_call: ToolCall) -> None:
        self.tool_call = tool_call
        self.raised: Exception | None = None

    async def listed(self, _: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return _LISTED

    async def called(self, _: Any, asked: CallToolRequestParams) -> CallToolResult:
        tool = BY_NAME.get(asked.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, "There is no such tool.")
        try:
            return _told(await run(tool, self.tool_call, asked.arguments or {}))
        except Exception as error:  # noqa: BLE001  (raised by `answer_to`, rendered by the router)
            self.raised = error
            raise MCPError(INTERNAL_ERROR, "The tool did not run.") from None


def _told(outcome: Outcome) -> CallToolResult:
    """As text as well, for clients that read nothing else."""
    text = msgspec.json.encode(outcome.value).decode()
    return CallToolResult(
        content=[TextContent(text=text)], structured_content=outcome.value, is_error=outcome.is_error
    )


def _server(tools: _Tools) -> Server[Any]:
    server: Server[Any] = Server(
        NAME,
        version=VERSION,
        title=tools.tool_call.tenant.display_name,
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": _KEPT, "server/discover": _KEPT},
        get_tool_input_schema=_SCHEMAS.get,
        on_list_tools=tools.listed,
        on_call_tool=tools.called,
    )
    server.middleware.clear()  # tracing, which nothing here collects
    return server


def _scope(call: Call) -> Event:
    headers = [(b"content-type", b"application/json")]  # as `endpoint.py` found it
    for name, values in call.headers.items():
        if name == b"accept" or name.startswith(b"mcp-"):
            headers += [(name, value) for value in values]
    return {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}


class _Received:
    """The body, which is read already; then what becomes of the connection."""

    def __init__(self, body: bytes, call: Call) -> None:
        self._body: bytes | None = body
        self._call = call

    async def __call__(self) -> Event:
        if self._body is None:
            return dict(await self._call.receive())
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Sent:
    """What the package answers, kept until it is known to be the answer."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    async def __call__(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self.status = int(event["status"])
        else:
            self.body += event.get("body", b"")
