"""uvicorn around the application: starts it, says when it listens, stops it gracefully."""

import asyncio
import gc
import socket
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Literal

import uvicorn
import uvloop

from core.settings import Settings
from entrypoints.http_protocol import HttpProtocol

GRACE_SECONDS = 10
LAST_WORDS_SECONDS = 0.5
COULD_NOT_START = 3
KEEP_ALIVE_SECONDS = 75
"""Longer than proxies and clients keep an idle connection (nginx and most balancers 60 s): who uses one at the moment
the server closes it gets no answer."""

YOUNG_OBJECTS = 10_000
"""Containers alive beyond those at the start before the collector looks at them; requests in flight have hundreds."""


class _Announcing(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        *,
        listening: Callable[[], None],
        leaving: Callable[[], None],
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._leaving = leaving
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: Any = None) -> None:
        gc.disable()  # what a start makes stays
        try:
            await super().startup(sockets)
        finally:
            gc.enable()
        if self.started:
            spare_the_collector()
            self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Who spreads requests over servers is given time to leave this one out. Then whoever was let in is heard: a
        connection that was made this moment has its request still on the way, and one that is kept alive is told
        with its next answer that this was the last."""
        self._leaving()
        await self._drained()
        for server in self.servers:
            server.close()
        self.server_state.default_headers.append((b"connection", b"close"))
        await asyncio.sleep(LAST_WORDS_SECONDS)
        await super().shutdown(sockets)

    async def _drained(self) -> None:
        """A second signal ends the wait."""
        until = monotonic() + self._drain_seconds
        while monotonic() < until and not self.force_exit:  # noqa: ASYNC110  (a flag of uvicorn's)
            await asyncio.sleep(0.05)


def spare_the_collector() -> None:
    """What was made at the start stays, and what a request makes goes by itself: looking at both again and again is
    a twelfth of what a list costs."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _options(settings: Settings) -> dict[str, Any]:
    """Forwarded headers are the edge's to judge; the access log is ours."""
    return {
        "host": settings.listen_host,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
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
    leaving: Callable[[], None] = lambda: None,
    lifespan: Literal["on", "off"] = "on",
) -> int:
    """Answers the exit status."""
    server = _Announcing(
        uvicorn.Config(app, lifespan=lifespan, **_options(settings)),
        listening=listening,
        leaving=leaving,
        drain_seconds=settings.drain_seconds,
    )
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
