"""uvicorn around the application: starts it, says when it listens, stops it gracefully."""

from collections.abc import Callable
from typing import Any

import uvicorn

from core.settings import Settings

GRACE_SECONDS = 10
HEADERS_LIMIT = 65536


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()


def config(app: Any, settings: Settings, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.listen_host,
        port=settings.listen_port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=HEADERS_LIMIT,
        **options,
    )


def serve(app: Any, settings: Settings, listening: Callable[[], None]) -> int:
    """Serve until stopped; answers the exit status."""
    server = _Announcing(config(app, settings), listening)
    server.run()
    return 0 if server.started else 3


def serve_with_workers(factory: str, settings: Settings) -> int:
    """Several processes on one port, each with the application that `factory` (module:function) makes."""
    uvicorn.run(
        factory,
        factory=True,
        host=settings.listen_host,
        port=settings.listen_port,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return 0
