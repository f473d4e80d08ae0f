"""`docs/custom-domains.md`: the proxy that it shows has a certificate for each host of a tenant, and for no other."""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import Demo
from tests.documents.repository import read
from tests.domains.name_server import name_server
from tests.domains.serving import copied, started
from tests.engines.carried import ENGINE
from tests.operators import Caller, machine_token
from tests.serving import free_port

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed"),
    pytest.mark.skipif(ENGINE is not None, reason="the servers are on files"),
]

LOGIN = "login.acme.test"
OWN = """{
	admin off
	skip_install_trust
	auto_https disable_redirects
	http_port %d
	https_port %d
"""


class Through(httpx.AsyncHTTPTransport):
    """To the proxy, with the name that is asked for in a handshake of its own each time."""

    def __init__(self, port: int) -> None:
        none_kept = httpx.Limits(max_keepalive_connections=0)
        super().__init__(verify=_trusting_anybody(), limits=none_kept)
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        there = request.url.copy_with(host="127.0.0.1", port=self._port)
        named = {**request.extensions, "sni_hostname": request.url.host}
        return await super().handle_async_request(
            httpx.Request(
                request.method, there, headers=request.headers, stream=request.stream, extensions=named
            )
        )


def _trusting_anybody() -> ssl.SSLContext:
    """The proxy's own authority was made a moment ago."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def proxy(behind: int, folder: Path) -> AsyncIterator[int]:
    port = free_port()
    [shown] = re.findall(r"```caddyfile\n(.*?)```", read("docs/custom-domains.md"), re.DOTALL)
    written = shown.replace("127.0.0.1:8000", f"127.0.0.1:{behind}").replace(
        "{\n", OWN % (free_port(), port), 1
    )
    file = folder / "Caddyfile"
    file.write_text(written.replace("\t\ton_demand\n", "\t\ton_demand\n\t\tissuer internal\n"))
    home = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    words = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
    with subprocess.Popen(words, env=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            await _listens(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


async def _listens(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def test_each_host_of_a_tenant_has_a_certificate_and_no_other_name_has(
    behind_https: tuple[Path, Demo], tmp_path: Path
) -> None:
    data, tenant = copied(behind_https, tmp_path), behind_https[1].tenants[0]
    async with name_server() as names:
        server = started(data, names)
        try:
            await server.ready()
            async with (
                proxy(server.port, tmp_path) as port,
                httpx.AsyncClient(transport=Through(port)) as http,
            ):
                await _walk(http, names, tenant)
        finally:
            server.stop()


async def _walk(http: httpx.AsyncClient, names: Any, tenant: Any) -> None:
    token = await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
    caller, url = Caller(http, token), f"{tenant.issuer}api/v2/custom-domains"
    metadata = f"https://{LOGIN}/.well-known/openid-configuration"
    made = (await caller.call("POST", url, {"domain": LOGIN, "type": "auth0_managed_certs"})).json()
    with pytest.raises(httpx.ConnectError):
        await http.get(metadata)
    method = made["verification"]["methods"][0]
    names.put(method["domain"], method["record"])
    ready = await caller.call("POST", f"{url}/{made['custom_domain_id']}/verify")
    assert ready.json()["status"] == "ready"
    assert (await http.get(metadata)).json()["issuer"] == f"https://{LOGIN}/"
    with pytest.raises(httpx.ConnectError):
        await http.get("https://nobody.id.example.com/")
    asked = await http.get(f"{tenant.issuer}internal/tls/ask?domain={LOGIN}")
    assert asked.status_code == 404, "what comes through the proxy is not the proxy"
