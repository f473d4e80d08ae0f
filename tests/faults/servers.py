"""Real servers: processes on ports of their own, over one data folder, that a test may kill, stop and start again.

All of them believe that they serve `http://localhost:8000`; a client's transport takes a request to the port of the
server that it is meant for.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.faults.server_process import serve
from tests.forks import FORKS

READY_SECONDS = 60


class Server:
    def __init__(self, data: Path, failing: str = "", *, handles: int = 0, **settings: str) -> None:
        """`handles`: how many descriptors the process may have; 0 leaves it as it is."""
        self.port = _free_port()
        self.log = data.parent / f"server-{self.port}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")}
        chosen = {
            "DATA_DIR": str(data),
            "LISTEN_PORT": str(self.port),
            "PASSWORD_MEMORY_KIB": "256",
            "PASSWORD_ITERATIONS": "1",
            "SPARE_KEYS": "0",
            "PATIENCE_SECONDS": "3",
            "CONVERGE_SECONDS": "60",
            "FAILPOINTS": failing,
            **settings,
        }
        environment |= {f"KEYSTEAD_{name}": value for name, value in chosen.items()}
        self.process = FORKS.Process(target=serve, args=(environment, str(self.log), handles))
        self.process.start()

    async def ready(self) -> None:
        async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient() as http:
            while True:
                assert self.process.exitcode is None, self.said()
                try:
                    if (await http.get(f"http://127.0.0.1:{self.port}/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=_To(self.port), timeout=30)

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    async def ended(self) -> int:
        """Its exit status, when it dies by itself."""
        await asyncio.to_thread(self.process.join, READY_SECONDS)
        assert self.process.exitcode is not None, "it lives"
        return self.process.exitcode

    def stop(self) -> None:
        if self.process.exitcode is None:
            self.kill()

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class _To(httpx.AsyncHTTPTransport):
    def __init__(self, port: int) -> None:
        super().__init__(limits=httpx.Limits(max_connections=200))
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await super().handle_async_request(request)


@asynccontextmanager
async def serving(
    data: Path, failing: str = "", *, handles: int = 0, **settings: str
) -> AsyncIterator[Server]:
    """One server, ready."""
    server = Server(data, failing, handles=handles, **settings)
    try:
        await server.ready()
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def two_serving(data: Path, *failing: str, **settings: str) -> AsyncIterator[tuple[Server, Server]]:
    servers = [Server(data, text, **settings) for text in failing or ("", "")]
    try:
        for server in servers:
            await server.ready()
        yield servers[0], servers[1]
    finally:
        for server in servers:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
