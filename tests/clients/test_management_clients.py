"""Auth0's clients for the Management API, Node's and Python's, drive every resource by the same steps."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from auth0.management import ManagementClient

from entrypoints.demo_content import DemoUser
from entrypoints.network import Api
from tests.clients.conftest import PACKAGES, Served, node
from tests.clients.deploy_tool import domain_of
from tests.clients.management_by_python import take
from tests.clients.management_steps import steps
from tests.clients.management_steps_of_people import PASSWORD, SESSIONS
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
ATTEMPTS = 10
"""As many as brute-force protection lets anybody have, unless a tenant says otherwise."""


async def kept(served: Served, mark: str) -> dict[str, dict[str, str]]:
    """What stands already and steps speak of: people who have signed in, or could not, among it."""
    async with served.http() as http:
        api = await served.manager(http)
        connections = await api.get("/connections", strategy="auth0")
        person, blocked = [
            await _user(api, f"{name}-{mark}@sdk.example.com") for name in ("person", "blocked")
        ]
    sessions = {number: await _session(served, person["email"]) for number in SESSIONS}
    await _fail(served, blocked["email"])
    return {
        "tenant": {"host": urlsplit(served.tenant.issuer).hostname or ""},
        "database": {"id": connections[0]["id"]},
        "person": {"user_id": person["user_id"], "client_id": served.tenant.clients["web"].client_id},
        "blocked": {"user_id": blocked["user_id"], "email": blocked["email"]},
        **sessions,
    }


async def _user(api: Api, email: str) -> dict[str, Any]:
    return await api.post(
        "/users",
        {
            "connection": "Username-Password-Authentication",
            "email": email,
            "password": PASSWORD,
            "email_verified": True,
        },
    )


async def _session(served: Served, email: str) -> dict[str, str]:
    """In a browser of its own."""
    async with served.http() as http:
        answer = await _party(served, http, email, PASSWORD).sign_in()
        return {"session_id": answer.id_claims["sid"]}


async def _fail(served: Served, email: str) -> None:
    async with served.http() as http:
        party = _party(served, http, email, "a wrong one")
        await party.authorize()
        await party.browser.submit({"email": email})
        for _ in range(ATTEMPTS):
            await party.browser.submit({"password": party.user.password})


def _party(served: Served, http: httpx.AsyncClient, email: str, password: str) -> RelyingParty:
    tenant = served.tenant
    user = DemoUser(email, password)
    return RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, user)


async def test_auth0_python_drives_every_resource(served: Served) -> None:
    machine, everything = served.tenant.clients["m2m"], list(steps("python"))
    standing = await kept(served, "python")

    def drive() -> int:
        trusted = ssl.create_default_context(cafile=str(served.authority.file))
        with httpx.Client(verify=trusted, timeout=30) as http:
            client = ManagementClient(
                domain=domain_of(served.tenant.issuer),
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
        "domain": domain_of(served.tenant.issuer),
        "clientId": machine.client_id,
        "clientSecret": machine.client_secret,
        "steps": everything,
        "kept": await kept(served, "node"),
    }
    process = await asyncio.create_subprocess_exec(
        "node", "--no-warnings", f"--import={HERE / 'localhost.mjs'}", str(HERE / "management.mjs"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(served.authority.file)},
    )  # fmt: skip
    told, wrong = await process.communicate(msgspec.json.encode(given))
    assert process.returncode == 0, wrong.decode()[-3000:]
    assert msgspec.json.decode(told) == {"taken": len(everything)}
