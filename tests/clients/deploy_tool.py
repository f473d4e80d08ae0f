"""Auth0's deploy tool as a program, and tenants for it."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import httpx

from entrypoints.demo_content import DemoClient
from entrypoints.network import Api, client_credentials
from tests.clients.conftest import PACKAGES, Served

TOOL = PACKAGES / "auth0-deploy-cli" / "lib" / "index.js"
PRELOADED = Path(__file__).with_name("deploy_tool.mjs")
MACHINE = "Demo automation"
_PROOF = re.compile("keystead-domain-verification=[A-Za-z0-9_-]+")


async def platform(served: Served, http: httpx.AsyncClient) -> tuple[Api, str]:
    plane = served.demo.control_plane
    machine = plane.clients["m2m"]
    token = await client_credentials(
        http, plane.issuer, machine.client_id, machine.client_secret or "", plane.management_audience
    )
    return Api(http, f"{plane.issuer}api/v2", token), token


async def new_tenant(served: Served, http: httpx.AsyncClient, name: str) -> tuple[str, DemoClient]:
    """As it is made, and a machine that may do everything in it: the domain, and the machine."""
    operator, token = await platform(served, http)
    await operator.post("/tenants", {"id": name, "display_name": name.title()})
    issuer = served.tenant.issuer.replace(served.tenant.id, name)
    api = Api(http, f"{issuer}api/v2", token)
    machine = await api.post(
        "/clients",
        {
            "name": MACHINE,
            "app_type": "non_interactive",
            "grant_types": ["client_credentials"],
            "is_first_party": True,
        },
    )
    servers = await api.get("/resource-servers", per_page=100)
    management = next(server for server in servers if server["identifier"] == f"{issuer}api/v2/")
    grant = {"client_id": machine["client_id"], "audience": management["identifier"]}
    await api.post("/client-grants", {**grant, "scope": [scope["value"] for scope in management["scopes"]]})
    return domain_of(issuer), DemoClient(machine["client_id"], machine["client_secret"])


def domain_of(issuer: str) -> str:
    return issuer.removeprefix("https://").rstrip("/")


async def deploy_tool(served: Served, domain: str, machine: DemoClient, *arguments: str, **more: Any) -> str:
    """What it said. It ends well, or the test does not."""
    environment = {
        **os.environ,
        "AUTH0_DOMAIN": domain,
        "AUTH0_CLIENT_ID": machine.client_id,
        "AUTH0_CLIENT_SECRET": machine.client_secret or "",
        "NODE_EXTRA_CA_CERTS": str(served.authority.file),
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        "node", "--import", str(PRELOADED), str(TOOL), *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-4000:]
    return said.decode()


async def export(served: Served, domain: str, machine: DemoClient, folder: Path, form: str = "yaml") -> Path:
    folder.mkdir()
    await deploy_tool(served, domain, machine, "export", "--format", form, "--output_folder", str(folder))
    return folder


def files_of(folder: Path) -> dict[str, str]:
    """Without the proof of a domain: each tenant asks for another."""
    return {
        str(path.relative_to(folder)): _PROOF.sub("", path.read_text())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
