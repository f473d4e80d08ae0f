"""Real servers: processes on ports of their own, over one data folder, that a test may kill, stop and start again.

All of them believe that they serve `http://localhost:8000`; a client's transport takes a request to the port of the
server that it is meant for.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
SERVE = "import sys; from entrypoints.cli import main; sys.exit(main(['serve']))"
READY_SECONDS = 90
BYTECODE = Path(tempfile.gettempdir()) / f"keystead-tests-bytecode-{os.getuid()}"
"""Compiled once for all servers of all runs: most of what a start costs."""


class Server:
    def __init__(self, data: Path, failing: str = "", **settings: str) -> None:
        self.port = _free_port()
        self.log = data.parent / f"server-{self.port}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")}
        chosen = {
            "DATA_DIR": str(data),
            "LISTEN_PORT": str(self.port),
            "PASSWORD_MEMORY_KIB": "256",
            "PASSWORD_ITERATIONS": "1",
            "SPARE_KEYS": "0",
            "FAILPOINTS": failing,
            **settings,
        }
        environment |= {f"KEYSTEAD_{name}": value for name, value in chosen.items()}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
        environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'sdk'}"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE], env=environment, stdout=output, stderr=output
            )

    async def ready(self) -> None:
        async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient() as http:
            while True:
                assert self.process.poll() is None, self.said()
                try:
                    if (await http.get(f"http://127.0.0.1:{self.port}/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=_To(self.port), timeout=30)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def ended(self) -> int:
        """Its exit status, when it dies by itself."""
        async with asyncio.timeout(READY_SECONDS):
            return await asyncio.to_thread(self.process.wait)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
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
async def serving(data: Path, failing: str = "", **settings: str) -> AsyncIterator[Server]:
    """One server, ready."""
    server = Server(data, failing, **settings)
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
