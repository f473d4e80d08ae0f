"""A real installation on fresh data, in a process of its own: made with `keystead demo`, measured under `serve`."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec

from bench.processes import Program, clean_environment, free_port
from bench.wire import ADDRESS, request
from core.settings_values import RATED
from entrypoints.demo_content import Demo, DemoTenant
from entrypoints.network import Api, LoopbackTransport, client_credentials

START_SECONDS = 60
READY = b"READY "
POLL_SECONDS = 0.002
WITHOUT_END = ",".join(f"{kind}=1000000" for kind in RATED)
"""Counted as always; sixteen connections that ask without a pause are what no allowance is made for."""


class Installation:
    """A data folder and the process that serves it, or none at the moment."""

    def __init__(self, folder: Path, synchronous: str, **more: str) -> None:
        """`more` are settings, by the names of their variables."""
        folder.mkdir(parents=True)
        self.data = folder / "data"
        self.port = free_port()
        self._log = folder / "server.log"
        self._environ = clean_environment(
            KEYSTEAD_SYNCHRONOUS=synchronous,
            KEYSTEAD_PUBLIC_URL=f"http://localhost:{self.port}",
            KEYSTEAD_RATES=WITHOUT_END,
            **more,
        )
        self.program = self._run("demo", "--json")
        self.demo = self._made()

    @property
    def acme(self) -> DemoTenant:
        return next(tenant for tenant in self.demo.tenants if tenant.id == "acme")

    def host(self, tenant_id: str) -> str:
        return f"{tenant_id}.localhost:{self.port}"

    @property
    def control_plane_host(self) -> str:
        return f"localhost:{self.port}"

    def restart(self) -> float:
        """A new process on the same data; answers the seconds from its start to its first answer."""
        self.program.stop()
        began = time.perf_counter()
        self.program = self._run("serve")
        first_answer(self.program, self.port, self.host("acme"), began)
        return time.perf_counter() - began

    def stop(self) -> None:
        self.program.stop()

    async def platform_token(self, http: httpx.AsyncClient) -> str:
        plane = self.demo.control_plane
        machine = plane.clients["m2m"]
        return await client_credentials(
            http, plane.issuer, machine.client_id, machine.client_secret or "", plane.management_audience
        )

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Api]:
        """The control plane's API, as its machine client."""
        async with web() as http:
            yield Api(http, f"{self.demo.control_plane.issuer}api/v2", await self.platform_token(http))

    def _run(self, command: str, *more: str) -> Program:
        arguments = [sys.executable, "-m", "entrypoints.cli", command]
        arguments += ["--data", str(self.data), "--port", str(self.port), *more]
        return Program.start(arguments, self._environ, self._log)

    def _made(self) -> Demo:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.program.check_alive()
            for line in self._log.read_bytes().splitlines():
                if line.startswith(READY):
                    return msgspec.json.decode(line.removeprefix(READY), type=Demo)
            time.sleep(0.05)
        raise RuntimeError(f"keystead demo was not ready in {START_SECONDS} s:\n{self.program.last_words()}")


def web() -> httpx.AsyncClient:
    """For setting up; what is measured goes through `bench.wire`."""
    return httpx.AsyncClient(transport=LoopbackTransport(), timeout=60)


def first_answer(program: Program, port: int, host: str, began: float) -> None:
    """Ask for the metadata until it is answered."""
    message = request("GET", host, "/.well-known/openid-configuration", headers={"connection": "close"})
    while not _answered(port, message):
        program.check_alive()
        if time.perf_counter() - began > START_SECONDS:
            raise RuntimeError(f"no answer in {START_SECONDS} s:\n{program.last_words()}")
        time.sleep(POLL_SECONDS)


def _answered(port: int, message: bytes) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), timeout=5) as connection:
            connection.sendall(message)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


async def few_at_a_time(jobs: Iterable[Awaitable[object]], count: int = 8) -> None:
    gate = asyncio.Semaphore(count)

    async def one(job: Awaitable[object]) -> None:
        async with gate:
            await job

    await asyncio.gather(*(one(job) for job in jobs))
