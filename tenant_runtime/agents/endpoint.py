"""`POST /mcp`. Nothing is kept between two requests, so there is no stream to open (GET) and none to end (DELETE).

Pages of any origin may call it: no cookie is asked, and a name that leads here by DNS rebinding is no tenant's host.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from litestar import asgi
from litestar.types import Receive, Scope, Send

from core.errors import InsufficientScope, InvalidRequest, Unavailable
from tenant_runtime.agents.callers import agent_of
from tenant_runtime.agents.resource import PATH
from tenant_runtime.agents.tool_calls import ToolCall
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.body import JSON, read_body
from tenant_runtime.oauth.dpop.proofs import challenged, with_next_nonce
from tenant_runtime.oauth.wire import Answer, Call, serve

Protocol: TypeAlias = Callable[[bytes, ToolCall], Awaitable[Answer]]
_protocol: Protocol | None = None


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
    answer_to = await _loaded()
    try:
        return with_next_nonce(await answer_to(body, ToolCall(call, agent, current)), agent.proof)
    except InsufficientScope as error:
        raise error if agent.proof is None else challenged(error) from error


async def _body(call: Call) -> bytes:
    kind = (call.one_header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise InvalidRequest("The body must be application/json.", status=415)
    return await read_body(call.receive, call.one_header(b"content-length"))


async def _loaded() -> Protocol:
    """What the package brings takes a second to import, and 25 MB: not at the start, where most tenants have no agents,
    and not in the loop."""
    global _protocol
    if _protocol is None:
        _protocol = await asyncio.to_thread(_imported)
    return _protocol


def _imported() -> Protocol:
    from tenant_runtime.agents.protocol import answer_to

    if gc.get_freeze_count():
        gc.freeze()  # as the server did with what its start made: it stays, and is not looked at again and again
    return answer_to
