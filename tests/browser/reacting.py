"""The application for React of docs/organization-switcher.md, word for word, built by a bundler.

Under `/react` of the customer's own address; its API checks the tokens and says whose invoices it answered with.
"""

import asyncio
import os
import re
import subprocess
from pathlib import Path

import httpx
from playwright.async_api import Browser, Page, Route

from entrypoints.demo_content import APP_PORT, DemoTenant
from entrypoints.network import LoopbackTransport
from keystead_sdk import TokenVerifier
from tests.browser.switching import Files, opened, until
from tests.browser.test_journeys import app_address
from tests.clients.conftest import PACKAGES
from tests.documents.repository import read

HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Invoices</title><div id="app"></div>
<script type="module" src="/react.js"></script></html>"""

AROUND = """
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { Invoices } from "./documented.jsx"

window.queries = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } })
window.complaints = []
for (const kind of ["error", "warn"]) console[kind] = (...said) => complaints.push(said.join(" "))
addEventListener("error", ({ message }) => complaints.push(message))
addEventListener("unhandledrejection", ({ reason }) => complaints.push(String(reason)))
window.changes = 0
addEventListener("organizationchange", () => changes++)
window.mount = () => {
  window.root = createRoot(document.getElementById("app"))
  root.render(<StrictMode><QueryClientProvider client={window.queries}><Invoices /></QueryClientProvider></StrictMode>)
}
mount()
"""


def documented(tenant: DemoTenant) -> str:
    """With the addresses of a tenant that is there."""
    [code] = re.findall(r"```jsx\n(.*?)```", read("docs/organization-switcher.md"), re.DOTALL)
    for written, meant in {
        "https://acme.example.com/": tenant.issuer,
        '"..."': f'"{tenant.clients["spa"].client_id}"',
        '"https://api.example.com"': f'"{tenant.api_audience}"',
        "https://api.example.com/invoices": "/invoices",
    }.items():
        assert written in code
        code = code.replace(written, meant)
    return str(code)


def react_files(tenant: DemoTenant, folder: Path) -> Files:
    return {"/react": ("text/html", HTML), "/react.js": ("text/javascript", _bundled(tenant, folder))}


def _bundled(tenant: DemoTenant, folder: Path) -> str:
    """Made for development: only so does StrictMode do everything twice, and React complain."""
    (folder / "documented.jsx").write_text(documented(tenant))
    (folder / "application.jsx").write_text(AROUND)
    command = [
        str(PACKAGES / ".bin" / "esbuild"),
        "application.jsx",
        "--bundle",
        "--format=esm",
        "--jsx=automatic",
    ]
    command.append('--define:process.env.NODE_ENV="development"')
    built = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return built.stdout


class Invoices:
    """The API. `held` is the name of an organization whose answer waits for `go_on`."""

    def __init__(self, tenant: DemoTenant) -> None:
        self.tenant = tenant
        self.held: str | None = None
        self.go_on = asyncio.Event()
        self.answered: list[str] = []

    async def answer(self, route: Route) -> None:
        token = (await route.request.header_value("authorization") or "").removeprefix("Bearer ")
        async with httpx.AsyncClient(transport=LoopbackTransport()) as http:
            verifier = TokenVerifier(
                issuer=self.tenant.issuer, audience=self.tenant.api_audience, client=http
            )
            principal = await verifier.verify(token)
        slug = next(one.name for one in self.tenant.organizations if one.id == principal.org_id)
        name = slug.replace("-", " ").title()
        if name == self.held:
            await self.go_on.wait()
        self.answered.append(name)
        await route.fulfill(json=[{"id": 1, "text": f"Invoice of {name}"}])


async def in_react(chromium: Browser, tenant: DemoTenant) -> tuple[Page, Invoices]:
    """The application as somebody sees it who is signed in."""
    page = await opened(chromium, tenant, tenant.users[0])
    invoices = Invoices(tenant)
    home = app_address(tenant, APP_PORT)
    await page.route(f"{home}invoices", invoices.answer)
    await page.goto(f"{home}react")
    await until(page, "document.querySelector('keystead-organization-switcher')?.organizations.length >= 2")
    return page, invoices
