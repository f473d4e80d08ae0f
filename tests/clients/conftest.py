"""Clients that nobody here wrote, against a real server over TLS, as they would meet it.

The server runs in a process of its own; before it stands what stands before every server, something that ends TLS.
Names under `.localhost` are the loopback address, for clients that ask the system's resolver too.
"""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings
from entrypoints import demo as demos
from entrypoints.asgi import create_app
from entrypoints.browser import Browser
from entrypoints.commands import make_control_plane
from entrypoints.demo_content import Demo, DemoTenant
from entrypoints.network import Api, LoopbackTransport, client_credentials
from tests.authority import Authority, new_authority
from tests.conftest import settings_for
from tests.faults.servers import Server
from tests.serving import free_port

RATES = "organizations=20000,accounts=20000,account_mail=20000"
"""All people of the tests are at one address."""

PACKAGES = Path(__file__).with_name("packages") / "node_modules"


@dataclass(frozen=True)
class Served:
    """An installation behind TLS, and what a client needs to trust it."""

    demo: Demo
    authority: Authority
    mail: Path
    """Where it writes its letters."""

    @property
    def tenant(self) -> DemoTenant:
        return self.demo.tenants[0]

    def http(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        return httpx.AsyncClient(transport=_Loopback(verify=context), timeout=30)

    async def manager(self, http: httpx.AsyncClient, tenant: DemoTenant | None = None) -> Api:
        """The tenant's Management API, with every permission of it."""
        chosen = tenant or self.tenant
        machine = chosen.clients["m2m"]
        token = await client_credentials(
            http,
            chosen.issuer,
            machine.client_id,
            machine.client_secret or "",
            chosen.management_audience,
        )
        return Api(http, f"{chosen.issuer}api/v2", token)

    async def sign_in(self, address: str, *, stops: tuple[str, ...], user: int = 0) -> dict[str, str]:
        """A person opens the address and signs in; what came back to the application."""
        async with self.http() as http:
            browser = Browser(http, stops=stops)
            await browser.open(address)
            if browser.landed is None:
                await browser.submit({"email": self.tenant.users[user].email})
                await browser.submit({"password": self.tenant.users[user].password})
            return browser.parameters()


class _Loopback(LoopbackTransport):
    """TLS still checks the name that was asked for."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        return await super().handle_async_request(request)


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients")
    authority = new_authority(folder)
    front = free_port()
    address = f"https://localhost:{front}"
    settings = settings_for(folder / "data", public_url=address)
    demo = asyncio.run(_make(settings))
    server = Server(folder / "data", PUBLIC_URL=address, MAIL_FOLDER="mail", RATES=RATES)
    try:
        asyncio.run(server.ready())
        with tls_front(front, server.port, authority.server):
            yield Served(demo, authority, folder / "data" / "mail")
    finally:
        server.stop()


async def _make(settings: Settings) -> Demo:
    plane = await make_control_plane(settings)
    app = create_app(settings)
    async with app.lifespan():
        return await demos.make(app, settings, plane)


@contextmanager
def tls_front(port: int, behind: int, context: ssl.SSLContext) -> Iterator[None]:
    """Ends TLS and passes everything on, byte by byte."""
    stop, listening = asyncio.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with await asyncio.start_server(_pass_to(behind), "127.0.0.1", port, ssl=context):
            listening.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert listening.wait(10)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)


def _pass_to(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    return each


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    """`*.localhost` for libraries that ask the system, and whom they trust."""
    real = socket.getaddrinfo

    def looked_up(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if str(name).endswith(".localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(served.authority.file))


@pytest.fixture
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.http() as client:
        yield client


def node() -> str | None:
    return shutil.which("node")


@cache
def node_release() -> int:
    """Its first number; 0 where there is none."""
    program = node()
    if program is None:
        return 0
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.lstrip("v").partition(".")[0])
