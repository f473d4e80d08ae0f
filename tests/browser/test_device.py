"""A person connects a television with the browser of their phone, and with that of their desk."""

import os
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from entrypoints.demo_content import Demo, DemoTenant

pytestmark = pytest.mark.browser

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SIZES = ({"width": 390, "height": 844}, {"width": 1280, "height": 800})
FITS = "() => document.documentElement.scrollWidth <= window.innerWidth"
TARGETS = "(all) => all.map((one) => one.getBoundingClientRect().height)"


class ByLoopback(httpx.AsyncHTTPTransport):
    """Browsers know that `*.localhost` is this host; resolvers need not."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1")  # the Host header stays as it was
        return await super().handle_async_request(request)


async def make_device(http: httpx.AsyncClient, tenant: DemoTenant) -> str:
    machine = tenant.clients["m2m"]
    form = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": machine.client_secret,
        "audience": tenant.management_audience,
    }
    token = (await http.post(f"{tenant.issuer}oauth/token", data=form)).json()["access_token"]
    client = {"name": "Living Room TV", "app_type": "native", "grant_types": [DEVICE, "refresh_token"]}
    headers = {"Authorization": f"Bearer {token}"}
    made = await http.post(f"{tenant.issuer}api/v2/clients", json=client, headers=headers)
    assert made.status_code == 201, made.text
    return str(made.json()["client_id"])


async def start(http: httpx.AsyncClient, tenant: DemoTenant, client_id: str) -> dict[str, Any]:
    form = {
        "client_id": client_id,
        "audience": tenant.api_audience,
        "scope": "openid profile offline_access read:invoices",
    }
    answer = await http.post(f"{tenant.issuer}oauth/device/code", data=form)
    assert answer.status_code == 200, answer.text
    codes: dict[str, Any] = answer.json()
    return codes


async def poll(http: httpx.AsyncClient, tenant: DemoTenant, client_id: str, codes: dict[str, Any]) -> int:
    form = {"grant_type": DEVICE, "client_id": client_id, "device_code": codes["device_code"]}
    return (await http.post(f"{tenant.issuer}oauth/token", data=form)).status_code


async def look(page: Page, name: str) -> None:
    """Nothing runs out of the screen, and whatever is pressed is large enough to be (WCAG 2.2, 2.5.8)."""
    assert await page.evaluate(FITS), name
    heights = await page.eval_on_selector_all("button", TARGETS)
    assert all(height >= 44 for height in heights), name
    assert await page.locator("h1").count() == 1
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        assert page.viewport_size is not None
        await page.screenshot(path=f"{folder}/{name}-{page.viewport_size['width']}.png", full_page=True)


@pytest.mark.parametrize("size", SIZES)
async def test_a_television_is_connected_without_javascript(
    served: Demo, chromium: Browser, size: dict[str, int]
) -> None:
    tenant = served.tenants[0]
    async with httpx.AsyncClient(transport=ByLoopback()) as http:
        client_id = await make_device(http, tenant)
        codes = await start(http, tenant, client_id)
        context = await chromium.new_context(viewport=size, java_script_enabled=False)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(codes["verification_uri"])
        await page.fill("input[name=user_code]", "bcdf-ghjk")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[aria-invalid=true]")
        await look(page, "wrong")
        await page.goto(codes["verification_uri_complete"])
        await look(page, "code")
        await page.click("button")
        await page.fill("input[name=email]", tenant.users[0].email)
        await page.keyboard.press("Enter")
        await page.fill("input[name=password]", tenant.users[0].password)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=Connect Living Room TV?")
        assert await page.inner_text(".shown-code") == codes["user_code"]
        await look(page, "confirm")
        assert await poll(http, tenant, client_id, codes) == 400
        await page.click("button[value=allow]")
        await page.wait_for_selector("text=Your device is connected")
        await look(page, "done")
        assert await poll(http, tenant, client_id, codes) == 200
        again = await start(http, tenant, client_id)
        await page.goto(again["verification_uri_complete"])
        await page.click("button")
        await page.click("button[value=deny]")
        await page.wait_for_selector("text=Nothing was connected")
        await look(page, "denied")
        await context.close()
