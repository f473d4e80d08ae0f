"""An installation behind https, a name server that a test commands, and the tenants' machines."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints import demo as demos
from entrypoints.asgi import create_app
from entrypoints.commands import make_control_plane
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.domains.name_server import NameServer, name_server
from tests.installation import Installation
from tests.operators import Caller, machine_token

ADDRESSES = {"public_url": "https://manage.example.com", "base_domain": "id.example.com"}


@pytest.fixture(scope="session")
def behind_https(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Demo]:
    folder = tmp_path_factory.mktemp("behind-https") / "data"

    async def make() -> Demo:
        settings = settings_for(folder, **ADDRESSES)
        plane = await make_control_plane(settings, one_node=True)
        app = create_app(settings)
        async with app.lifespan():
            return await demos.make(app, settings, plane)

    return folder, asyncio.run(make())


@dataclass(frozen=True)
class Domains:
    installation: Installation
    names: NameServer

    async def of(self, tenant_id: str) -> "Owner":
        tenant, http = self.installation.tenant(tenant_id), self.installation.http
        token = await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
        return Owner(self, f"{tenant.issuer}api/v2", Caller(http, token))

    async def issuer_at(self, host: str) -> str | None:
        answer = await self.installation.http.get(f"https://{host}/.well-known/openid-configuration")
        assert answer.status_code in (200, 404)
        return str(answer.json()["issuer"]) if answer.status_code == 200 else None


@dataclass(frozen=True)
class Owner:
    """A tenant's machine, asking for domains."""

    domains: Domains
    base: str
    caller: Caller

    async def call(self, method: str, path: str = "", body: Any = None, **headers: str) -> httpx.Response:
        url = f"{self.base}/custom-domains{path}"
        return await self.caller.call(method, url, body, headers=headers)

    async def claim(self, domain: str, **more: Any) -> dict[str, Any]:
        answer = await self.call("POST", "", {"domain": domain, "type": "self_managed_certs", **more})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def verify(self, made: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call("POST", f"/{made['custom_domain_id']}/verify")
        assert answer.status_code == 200, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    async def proven(self, domain: str) -> dict[str, Any]:
        """Claimed, with the proof where it belongs, and verified."""
        made = await self.claim(domain)
        method = made["verification"]["methods"][0]
        self.domains.names.put(method["domain"], method["record"])
        return await self.verify(made)


@pytest.fixture
async def domains(behind_https: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Domains]:
    copy = tmp_path / f"data-{secrets.token_hex(3)}"
    shutil.copytree(behind_https[0], copy)
    async with name_server() as names:
        settings = settings_for(copy, **ADDRESSES, dns_servers=(("127.0.0.1", names.port),))
        async with serving(settings, behind_https[1]) as installation:
            yield Domains(installation, names)
