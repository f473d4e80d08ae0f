"""`POST /mcp`. Nothing is kept between two requests, so there is no stream to open (GET) and none to end (DELETE).

Pages of any origin may call it: no cookie is asked, and a name that leads here by DNS rebinding is no tenant's host.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send

from core.errors import InsufficientScope, InvalidRequest, Unavailable
from tenant_runtime.agents.callers import agent_of
from tenant_runtime.agents.messages import Message, RpcError, failure, read_message, result
from tenant_runtime.agents.protocol import answer_to, check_headers
from tenant_runtime.agents.resource import PATH
from tenant_runtime.agents.tool_calls import ToolCall
from tenant_runtime.agents.tools import DESCRIBED, run
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.body import JSON, read_body
from tenant_runtime.oauth.dpop.proofs import challenged, with_next_nonce
from tenant_runtime.oauth.wire import Answer, Call, empty_answer, json_answer, serve

SERVER, VERSION = "keystead", "1"
"""The version is that of the tools. Which release serves them is nobody's business."""

_VERSION, _METHOD, _NAME = b"mcp-protocol-version", b"mcp-method", b"mcp-name"


@asgi(PATH, copy_scope=False)
async def agents(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, ("POST",), _agents, from_anywhere=True)


handlers = [agents]


async def _agents(call: Call) -> Answer:
    current = await configuration(call.tenant)
    if not current.has_organization_api:
        raise Unavailable("This tenant's database is to be migrated first.", retry_after=60)
    agent = await agent_of(call, current)
    body = await _body(call)
    tool_call = ToolCall(call, agent, current)
    try:
        return with_next_nonce(await _answered(call, tool_call, body), agent.proof)
    except InsufficientScope as error:
        raise error if agent.proof is None else challenged(error) from error


async def _body(call: Call) -> bytes:
    kind = (call.one_header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise InvalidRequest("The body must be application/json.", status=415)
    return await read_body(call.receive, call.one_header(b"content-length"))


async def _answered(call: Call, tool_call: ToolCall, body: bytes) -> Answer:
    id = None
    try:
        message = read_message(body)
        id = message.id
        check_headers(call.one_header(_VERSION), call.one_header(_METHOD), call.one_header(_NAME), message)
        if message.method is None or id is None:
            return empty_answer(status=202)
        return json_answer(result(id, await _done(message, tool_call)))
    except RpcError as error:
        return json_answer(failure(id, error), status=error.status)


async def _done(message: Message, tool_call: ToolCall) -> Mapping[str, Any]:
    return await answer_to(
        message,
        server={"name": SERVER, "title": tool_call.tenant.display_name, "version": VERSION},
        tools=DESCRIBED,
        call_tool=partial(run, tool_call),
    )
