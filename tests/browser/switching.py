"""A customer's page with the switcher, under a policy as strict as a page can have, and somebody who is signed in."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Error, Page, StorageState

from entrypoints.demo_content import APP_PORT, DemoTenant, DemoUser
from tests.browser.test_journeys import app_address, asked_by

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Invoices</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/app.css">
<script type="module" src="/app.js"></script></head><body><header><b>Invoices</b>
<keystead-organization-switcher issuer="{issuer}" can-create></keystead-organization-switcher></header>
<button id="after">After it</button></body></html>"""

STYLE = """:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
header{display:flex;justify-content:space-between;align-items:start;gap:1rem}"""

SCRIPT = """
const switcher = document.querySelector("keystead-organization-switcher");
window.told = [];
for (const name of ["organizationchange", "organizationcreate", "organizationjoin", "organizationerror"]) {{
  switcher.addEventListener(name, ({{detail}}) => told.push([name, detail.organization?.name ?? detail.error.message]));
}}
window.chosen = [];
switcher.switchOrganization = async ({{id}}) => void chosen.push(id);
const {{createTokens}} = await import("{issuer}assets/organization-switcher.js");
window.switcher = switcher;
window.tokens = (more) => createTokens({{issuer: "{issuer}", clientId: "{client_id}",
  redirectUri: location.origin + "/", audience: "{audience}", scope: "openid read:invoices", ...more}});
window.ask = async (path, body) => (await fetch(`{issuer}api/auth/${{path}}`, {{method: "POST", credentials: "include",
  headers: {{"content-type": "application/json"}}, body: JSON.stringify(body)}})).json();
window.claims = (token) => JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
"""

POLICY = (
    "default-src 'none'; script-src 'self' {tenant}; connect-src 'self' {tenant}; frame-src {tenant}; "
    "style-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


Files = Mapping[str, tuple[str, str]]
"""From paths to content types and contents."""


def pages_of(tenant: DemoTenant, more: Files) -> type[BaseHTTPRequestHandler]:
    """For the address where the demo's `spa` client says it lives."""
    values = {
        "issuer": tenant.issuer,
        "client_id": tenant.clients["spa"].client_id,
        "audience": tenant.api_audience,
    }
    files = {
        "/": ("text/html", PAGE.format(**values)),
        "/app.css": ("text/css", STYLE),
        "/app.js": ("text/javascript", SCRIPT.format(**values)),
        **more,
    }
    policy = POLICY.format(tenant=tenant.issuer.rstrip("/"))

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = files.get(urlsplit(self.path).path, ("text/plain", ""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing is worth a line."""

    return Pages


_signed_in: dict[tuple[str, str], StorageState] = {}
"""Cookies of who signed in before: one sign-in is enough for all tests with one server."""


async def opened(chromium: Browser, tenant: DemoTenant, user: DemoUser, **options: Any) -> Page:
    """The customer's page, of somebody who has a session at the tenant."""
    who = (tenant.issuer, user.email)
    context = await chromium.new_context(storage_state=_signed_in.get(who), **options)
    page = await context.new_page()
    home = app_address(tenant, APP_PORT)
    await page.goto(home if who in _signed_in else asked_by(tenant, redirect_uri=home))
    if who not in _signed_in:
        await sign_in(page, user)
    await until(page, "window.switcher && switcher.organizations.length > 0")
    _signed_in[who] = await context.storage_state()
    return page


async def sign_in(page: Page, user: DemoUser) -> None:
    await page.fill("input[name=email]", user.email)
    await page.keyboard.press("Enter")
    await page.fill("input[name=password]", user.password)
    await page.keyboard.press("Enter")


async def until(page: Page, question: str) -> None:
    """Playwright's own waiting evaluates text in the page, which the policy forbids."""
    for _ in range(200):
        with suppress(Error):  # it goes to another page meanwhile
            if await page.evaluate(question):
                return
        await asyncio.sleep(0.05)
    raise AssertionError(question)


async def pressed(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def focused(page: Page) -> str:
    """What has the focus, by its text."""
    return str(
        await page.evaluate(
            "(switcher.shadowRoot.activeElement ?? document.activeElement).textContent.trim()"
        )
    )


async def use_tokens(page: Page, refresh_token: str | None = None) -> None:
    await page.evaluate(
        "(refreshToken) => { window.kept = tokens({refreshToken});"
        " switcher.switchOrganization = kept.switchOrganization; }",
        refresh_token,
    )


async def choose(page: Page, name: str) -> None:
    await page.get_by_role("button", name="Organization:").click()
    await page.get_by_role("menuitemradio", name=name).click()


async def token_claims(page: Page, organization_id: str | None = None) -> dict[str, Any]:
    claims: dict[str, Any] = await page.evaluate(
        "async (id) => claims(await kept.accessToken(id ?? undefined))", organization_id
    )
    return claims


async def told(page: Page) -> Sequence[list[str]]:
    heard: Sequence[list[str]] = await page.evaluate("told")
    return heard
