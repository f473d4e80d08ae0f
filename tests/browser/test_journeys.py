"""A few journeys through the pages, as a person's browser makes them."""

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page

from entrypoints.demo_content import Demo, DemoTenant
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
SILENT = """
(address) => new Promise((resolve) => {
  const answer = (event) => resolve({origin: event.origin, data: event.data});
  addEventListener("message", answer, {once: true});
  setTimeout(() => resolve(null), 3000);
  const frame = document.createElement("iframe");
  frame.style.display = "none";
  frame.src = address;
  document.body.append(frame);
})
"""


def asked_by(tenant: DemoTenant, **changes: str | None) -> str:
    rp = RelyingParty(
        httpx.AsyncClient(), tenant.issuer, tenant.clients["spa"], tenant.api_audience, tenant.users[0]
    )
    return rp.authorize_url(**changes)


def app_address(tenant: DemoTenant, port: int) -> str:
    return f"http://app.{urlsplit(tenant.issuer).hostname}:{port}/"


async def sign_in(page: Page, tenant: DemoTenant) -> None:
    await page.fill("input[name=email]", tenant.users[0].email)
    await page.keyboard.press("Enter")
    await page.fill("input[name=password]", tenant.users[0].password)
    await page.keyboard.press("Enter")


async def test_a_person_without_javascript_signs_in_on_a_phone(
    served: Demo, chromium: Browser, callback: str
) -> None:
    tenant = served.tenants[0]
    context = await chromium.new_context(viewport=PHONE, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(asked_by(tenant))
    await sign_in(page, tenant)
    await page.wait_for_url(f"{callback}**")
    answer = dict(parse_qsl(urlsplit(page.url).query))
    assert answer["iss"] == tenant.issuer
    assert answer["code"]


async def test_no_page_asks_anybody_but_this_host(served: Demo, chromium: Browser) -> None:
    tenant = served.tenants[0]
    page = await chromium.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(asked_by(tenant))
    await page.fill("input[name=email]", tenant.users[0].email)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("input[name=password]")
    assert asked == {urlsplit(tenant.issuer).netloc}
    assert complaints == []


async def test_an_application_switches_its_organization_in_a_hidden_frame(
    served: Demo, chromium: Browser, application: int
) -> None:
    tenant = served.tenants[0]
    home = app_address(tenant, application)
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(asked_by(tenant, redirect_uri=home, response_mode="query"))
    await sign_in(page, tenant)
    await page.wait_for_url(f"{home}?**")
    for organization in tenant.organizations[:2]:
        address = asked_by(
            tenant,
            redirect_uri=home,
            response_mode="web_message",
            prompt="none",
            organization=organization.id,
        )
        message = await page.evaluate(SILENT, address)
        assert message["origin"] == tenant.issuer.rstrip("/")
        assert message["data"]["type"] == "authorization_response"
        assert message["data"]["response"]["code"]


async def test_a_refusal_is_posted_too(served: Demo, chromium: Browser, application: int) -> None:
    tenant = served.tenants[0]
    home = app_address(tenant, application)
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(asked_by(tenant, redirect_uri=home))
    await sign_in(page, tenant)
    await page.wait_for_url(f"{home}?**")
    address = asked_by(
        tenant,
        redirect_uri=home,
        response_mode="web_message",
        prompt="none",
        organization=tenant.organizations[2].id,
    )
    message = await page.evaluate(SILENT, address)
    assert message["data"]["response"]["error"] == "access_denied"


async def test_a_strangers_page_gets_no_message(served: Demo, chromium: Browser, application: int) -> None:
    """The victim has a session; the frame of another site of this machine learns nothing from it."""
    tenant = served.tenants[0]
    home = app_address(tenant, application)
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(asked_by(tenant, redirect_uri=home))
    await sign_in(page, tenant)
    await page.wait_for_url(f"{home}?**")
    await page.goto(f"http://stranger.localhost:{application}/")
    address = asked_by(tenant, redirect_uri=home, response_mode="web_message", prompt="none")
    assert await page.evaluate(SILENT, address) is None
