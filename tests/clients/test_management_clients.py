"""Auth0's clients for the Management API, Node's and Python's, drive every resource by the same steps."""

import asyncio
import os
import ssl
from pathlib import Path

import httpx
import msgspec
import pytest
from auth0.management import ManagementClient

from tests.clients.conftest import PACKAGES, Served, node
from tests.clients.management_by_python import take
from tests.clients.management_steps import steps

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent


async def kept(served: Served) -> dict[str, dict[str, str]]:
    """What stands already and steps speak of."""
    async with served.http() as http:
        connections = await (await served.manager(http)).get("/connections", strategy="auth0")
    return {"database": {"id": connections[0]["id"]}}


async def test_auth0_python_drives_every_resource(served: Served) -> None:
    machine, everything = served.tenant.clients["m2m"], list(steps("python"))
    standing = await kept(served)

    def drive() -> int:
        trusted = ssl.create_default_context(cafile=str(served.authority.file))
        with httpx.Client(verify=trusted, timeout=30) as http:
            client = ManagementClient(
                domain=served.tenant.issuer.removeprefix("https://").rstrip("/"),
                client_id=machine.client_id,
                client_secret=machine.client_secret,
                httpx_client=http,
            )
            return take(client, everything, standing)

    assert await asyncio.to_thread(drive) == len(everything)


@pytest.mark.npm
@pytest.mark.skipif(not PACKAGES.exists() or node() is None, reason="needs Node and its packages")
async def test_auth0_for_node_drives_every_resource(served: Served) -> None:
    machine, everything = served.tenant.clients["m2m"], list(steps("node"))
    given = {
        "domain": served.tenant.issuer.removeprefix("https://").rstrip("/"),
        "clientId": machine.client_id,
        "clientSecret": machine.client_secret,
        "steps": everything,
        "kept": await kept(served),
    }
    process = await asyncio.create_subprocess_exec(
        "node", "--no-warnings", f"--import={HERE / 'localhost.mjs'}", str(HERE / "management.mjs"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(served.authority.file)},
    )  # fmt: skip
    told, wrong = await process.communicate(msgspec.json.encode(given))
    assert process.returncode == 0, wrong.decode()[-3000:]
    assert msgspec.json.decode(told) == {"taken": len(everything)}
