"""An installation that sends its mail to a little server of the test, and what a person finds in their letters."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from core.settings import Secret
from entrypoints.demo_content import Demo, DemoTenant, DemoUser
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.smtp import Received, SmtpServer, smtp_server

SENDER = "Keystead <login@example.com>"
OTP = "http://auth0.com/oauth/grant-type/passwordless/otp"
_CODE = re.compile(r"^ {4}([0-9]{6})$", re.MULTILINE)
_LINK = re.compile(r"^https?://\S+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mailed:
    installation: Installation
    server: SmtpServer

    @property
    def http(self) -> httpx.AsyncClient:
        return self.installation.http

    def tenant(self, tenant_id: str = "acme") -> DemoTenant:
        return self.installation.tenant(tenant_id)

    async def client(self, tenant_id: str = "acme", **members: Any) -> dict[str, Any]:
        """A new client of the tenant's: public, and registered for codes by mail, unless said otherwise."""
        settings = {
            "name": "Phone",
            "app_type": "native",
            "is_first_party": True,
            "token_endpoint_auth_method": "none",
            "grant_types": [OTP, "refresh_token"],
        }
        manager = await self.installation.manager(tenant_id)
        made: dict[str, Any] = await manager.post("/clients", settings | members)
        return made

    async def set(self, tenant_id: str = "acme", **settings: Any) -> None:
        await (await self.installation.manager(tenant_id)).patch("/tenants/settings", settings)

    def begin_a_window(self) -> None:
        """What is counted by the quarter of an hour is counted from here."""
        clock = self.installation.clock
        clock.advance(900 - clock.now() % 900)

    async def settle(self, tenant_id: str = "acme") -> list[Received]:
        """Everything that is due is sent; answers all letters there are."""
        running = self.installation.running
        tenant = await running.platform.directory.by_id(tenant_id)
        assert tenant is not None
        await running.services.deliveries.run_due(tenant)
        return self.server.received

    async def can_sign_in(self, email: str, password: str, tenant_id: str = "acme") -> bool:
        """In a browser of its own."""
        async with self.installation.browser() as http:
            party = self.installation.relying_party(tenant_id, "spa", http=http)
            party.user = DemoUser(email, password)
            await party.authorize()
            await party.log_in()
            return party.browser.landed is not None and "code" in party.landed

    async def rows(self, tenant_id: str, statement: str) -> list[Any]:
        running = self.installation.running
        tenant = await running.platform.directory.by_id(tenant_id)
        assert tenant is not None
        await running.services.audit.flush(tenant)
        return await tenant.database.read(lambda connection: list(connection.execute(text(statement))))


@asynccontextmanager
async def mailed(golden: tuple[Path, Demo], folder: Path, **settings: object) -> AsyncIterator[Mailed]:
    copy = folder / "data"
    shutil.copytree(golden[0], copy)
    async with smtp_server() as server:
        mail = {"smtp_url": Secret(server.url()), "mail_from": SENDER}
        async with serving(settings_for(copy, **{**mail, **settings}), golden[1]) as installation:
            yield Mailed(installation, server)


def code_in(letter: Received) -> str:
    found = _CODE.search(letter.text)
    assert found is not None, letter.text
    return found[1]


def link_in(letter: Received) -> str:
    (found,) = _LINK.findall(letter.text)
    return str(found)
