"""The Model Context Protocol without sessions: what is answered to each method, whoever asked what before.

Versions with a handshake (`initialize`) and the one without (2026-07-28: each request says its version,
`server/discover` what there is) get the same answers: members that one of them does not know are left alone by its
clients.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tenant_runtime.agents.messages import (
    HEADER_MISMATCH,
    METHOD_NOT_FOUND,
    UNSUPPORTED_VERSION,
    Message,
    RpcError,
)

VERSIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
WITH_HANDSHAKE: Final = VERSIONS[:-1]
CAPABILITIES: Final[Mapping[str, Any]] = {"tools": {}}
INSTRUCTIONS: Final = (
    "Tools act in the name of the person who signed in, with that person's rights in each organization and no others."
    " A tool that is not told an organization acts in the one that the access token is for."
)
_KEPT: Final[Mapping[str, Any]] = {"ttlMs": 300_000, "cacheScope": "public"}
"""The same for everybody, until the next release."""

Tool = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""What `tools/call` is handed to: the whole of its params."""


def check_headers(version: str | None, method: str | None, name: str | None, message: Message) -> None:
    """What a header repeats of the message must be what the message says. None: there is no such header."""
    if version is not None and version not in VERSIONS:
        told = {"supported": list(VERSIONS), "requested": version[:40]}
        raise RpcError(UNSUPPORTED_VERSION, "The protocol version is not supported.", status=400, data=told)
    if method is not None and method != message.method:
        raise RpcError(HEADER_MISMATCH, "The header Mcp-Method names another method.", status=400)
    if name is not None and message.method == "tools/call" and name != message.params.get("name"):
        raise RpcError(HEADER_MISMATCH, "The header Mcp-Name names another tool.", status=400)


async def answer_to(
    message: Message, *, server: Mapping[str, Any], tools: list[dict[str, Any]], call_tool: Tool
) -> Mapping[str, Any]:
    match message.method:
        case "initialize":
            return {
                "protocolVersion": _version(message.params.get("protocolVersion")),
                "capabilities": CAPABILITIES,
                "serverInfo": server,
                "instructions": INSTRUCTIONS,
            }
        case "server/discover":
            return _complete(
                {
                    "supportedVersions": list(VERSIONS),
                    "capabilities": CAPABILITIES,
                    "instructions": INSTRUCTIONS,
                    "_meta": {"io.modelcontextprotocol/serverInfo": server},
                    **_KEPT,
                }
            )
        case "ping":
            return {}
        case "tools/list":
            return _complete({"tools": tools, **_KEPT})
        case "tools/call":
            return _complete(await call_tool(message.params))
    raise RpcError(METHOD_NOT_FOUND, "There is no such method.")


def _version(asked: Any) -> str:
    """The client's, or the newest that a handshake leads to: then the client decides whether it goes on."""
    return asked if asked in WITH_HANDSHAKE else WITH_HANDSHAKE[-1]


def _complete(value: Mapping[str, Any]) -> dict[str, Any]:
    return {**value, "resultType": "complete"}
