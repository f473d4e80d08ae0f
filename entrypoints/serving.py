"""uvicorn around the application: starts it, says when it listens, stops it gracefully."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import uvicorn
import uvloop

from core.settings import Settings
from entrypoints.http_protocol import HttpProtocol

GRACE_SECONDS = 10
COULD_NOT_START = 3
YOUNG_OBJECTS = 10_000
"""Containers alive beyond those at the start before the collector looks at them; requests in flight have hundreds."""


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: Any = None) -> None:
        gc.disable()  # what a start makes stays
        try:
            await super().startup(sockets)
        finally:
            gc.enable()
        if self.started:
            spare_the_collector()
            self._listening()


def spare_the_collector() -> None:
    """What was made at the start stays, and what a request makes goes by itself: looking at both again and again is
    a twelfth of what a list costs."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _options(settings: Settings) -> dict[str, Any]:
    """Forwarded headers are the edge's to judge; the access log is ours."""
    return {
        "host": settings.listen_host,
        "port": settings.listen_port,
        "loop": "uvloop",
        "http": HttpProtocol,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }


async def serve_until_stopped(
    app: Any,
    settings: Settings,
    *,
    listening: Callable[[], None] = lambda: None,
    lifespan: Literal["on", "off"] = "on",
) -> int:
    """Answers the exit status."""
    server = _Announcing(uvicorn.Config(app, lifespan=lifespan, **_options(settings)), listening)
    await server.serve()
    return 0 if server.started else COULD_NOT_START


def run(main: Coroutine[Any, Any, int]) -> int:
    """On uvloop, like uvicorn's own workers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def serve_with_workers(factory: str, settings: Settings) -> int:
    """Several processes on one port, each with the application that `factory` (module:function) makes."""
    uvicorn.run(factory, factory=True, lifespan="on", workers=settings.workers, **_options(settings))
    return 0
