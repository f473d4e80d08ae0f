"""The installation behind https as a process of its own, which a test may have die at a chosen place."""

import shutil
from pathlib import Path

import httpx

from entrypoints.demo_content import Demo
from tests.domains.conftest import ADDRESSES
from tests.domains.name_server import NameServer
from tests.faults.servers import Server


class Inside(httpx.AsyncHTTPTransport):
    """What a proxy does that has ended TLS: the request goes on without, to the server's port."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._port = server.port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        there = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return await super().handle_async_request(
            httpx.Request(request.method, there, headers=request.headers, stream=request.stream)
        )


def copied(made: tuple[Path, Demo], folder: Path) -> Path:
    target = folder / "data"
    shutil.copytree(made[0], target, ignore=shutil.ignore_patterns("generations", "workers"))
    return target


def started(data: Path, names: NameServer, failing: str = "") -> Server:
    named = {name.upper(): value for name, value in ADDRESSES.items()}
    return Server(
        data, failing, DNS_SERVERS=f"127.0.0.1:{names.port}", TRUSTED_PROXIES="127.0.0.1/32", **named
    )
