"""What the process says of itself: `/health` and `/ready`. Names no tenant: anybody may ask."""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from core.errors import IdentityError, Unavailable
from core.http.edge import AsgiApp, Receive, Scope, Send

Health = Literal["ok", "degraded"]


def process_app(
    health: Callable[[], Health],
    check: Callable[[], Awaitable[None]],
    refuse: Callable[[Scope, IdentityError], AsgiApp],
) -> AsgiApp:
    """`health` is *degraded* while something is wrong with some tenant; `check` raises when nothing can be served."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            await _answer(send, {"status": health()})
            return
        try:
            await check()
        except IdentityError:
            await refuse(scope, Unavailable("Not ready."))(scope, receive, send)
            return
        await _answer(send, {"status": "ready"})

    return app


async def _answer(send: Send, body: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
