"""An invitation, as a person's browser sees it: somebody new on a phone, somebody known on a desk."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from core.mail import letters_in
from entrypoints.demo_content import Demo, DemoTenant
from entrypoints.network import Api, LoopbackTransport, client_credentials
from tests.browser.test_journeys import asked_by
from tests.browser.test_password_reset import SIZES, fits, link_sent
from tests.serving import demo_server

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    data = tmp_path_factory.mktemp("browser") / "data"
    with demo_server(data) as demo:
        yield demo, data / "mail"


@asynccontextmanager
async def management(tenant: DemoTenant) -> AsyncIterator[Api]:
    machine = tenant.clients["m2m"]
    async with httpx.AsyncClient(transport=LoopbackTransport(), timeout=20) as http:
        secret = machine.client_secret or ""
        token = await client_credentials(
            http, tenant.issuer, machine.client_id, secret, tenant.management_audience
        )
        yield Api(http, f"{tenant.issuer}api/v2", token)


async def invite(tenant: DemoTenant, email: str) -> None:
    async with management(tenant) as api:
        organization = await api.post(
            "/organizations", {"name": f"o{abs(hash(email))}", "display_name": "North & Co"}
        )
        asked = {"inviter": {"name": "Grace Hopper"}, "invitee": {"email": email}}
        client_id = tenant.clients["spa"].client_id
        await api.post(f"/organizations/{organization['id']}/invitations", {**asked, "client_id": client_id})


def html_sent(folder: Path, address: str) -> str:
    [letter] = [one for one in letters_in(folder) if one["to"] == address]
    body = letter.get_body(("html",))
    assert body is not None
    return str(body.get_content())


async def opened(chromium: Browser, size: str, link: str) -> Page:
    context = await chromium.new_context(viewport=SIZES[size])  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(link)
    await page.get_by_role("heading", name="You are invited to North & Co").wait_for()
    await page.get_by_text("Grace Hopper asks you to become a member.").wait_for()
    assert await fits(page)
    return page


@pytest.mark.parametrize("size", ["phone"])
async def test_somebody_new_is_invited_makes_an_account_and_is_in(
    mailing: tuple[Demo, Path], chromium: Browser, size: str
) -> None:
    demo, folder = mailing
    email = f"new-{size}@example.org"
    await invite(demo.tenants[0], email)
    page = await opened(chromium, size, await link_sent(folder, email))
    await page.get_by_role("button", name="Accept").click()
    await page.get_by_role("heading", name="Create your account").wait_for()
    await page.get_by_text("to accept the invitation to North & Co").wait_for()
    assert await fits(page)
    assert await page.locator("[name=email]").count() == 0  # it is the invited one
    await page.get_by_text(email).wait_for()
    await page.fill("[name=password]", f"seven unrelated words {size}")
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_text("You are a member of North & Co now.").wait_for()
    assert await fits(page)


@pytest.mark.parametrize("size", ["desk"])
async def test_somebody_known_logs_in_as_the_invited_person(
    mailing: tuple[Demo, Path], chromium: Browser, size: str
) -> None:
    demo, folder = mailing
    tenant = demo.tenants[0]
    place = list(SIZES).index(size)
    user, other = tenant.users[place], tenant.users[place + 1]
    await invite(tenant, user.email)
    link = await link_sent(folder, user.email)
    page = await opened(chromium, size, link)
    await page.get_by_role("button", name="Accept").click()
    await page.get_by_role("link", name="Not you?").click()
    await page.fill("[name=email]", other.email)
    await page.click("button.primary")
    await page.fill("[name=password]", other.password)
    await page.click("button.primary")
    await page.get_by_text(f"You are signed in as {other.email}.").wait_for()
    assert await fits(page)
    await page.get_by_role("button", name="Use another account").click()
    await page.fill("[name=email]", user.email)
    await page.click("button.primary")
    await page.fill("[name=password]", user.password)
    await page.click("button.primary")
    await page.get_by_text("You are a member of North & Co now.").wait_for()
    await page.goto(link)
    await page.get_by_role("heading", name="You are a member already").wait_for()


async def test_who_says_no_is_left_alone(mailing: tuple[Demo, Path], chromium: Browser) -> None:
    demo, folder = mailing
    email = f"{'no' * 30}@example.org"
    await invite(demo.tenants[0], email)
    link = await link_sent(folder, email)
    page = await opened(chromium, "phone", link)
    letter = await page.context.new_page()
    await letter.set_content(html_sent(folder, email))
    assert await fits(letter)
    await page.get_by_role("button", name="Decline").click()
    await page.get_by_role("heading", name="You declined").wait_for()
    await page.goto(link)
    await page.get_by_role("heading", name="This invitation cannot be used").wait_for()
    assert await fits(page)


async def test_who_is_not_invited_asks_by_keyboard_on_pages_in_the_colours_of_the_organization(
    mailing: tuple[Demo, Path], chromium: Browser
) -> None:
    tenant = mailing[0].tenants[0]
    user = tenant.users[2]
    look = {"colors": {"primary": "#b3400a", "page_background": "#fdf1e3"}}
    domain = {"domain": user.email.partition("@")[2], "status": "verified"}
    async with management(tenant) as api:
        organization = await api.post(
            "/organizations", {"name": "north", "display_name": "North & Co", "branding": look}
        )
        path = f"/organizations/{organization['id']}"
        await api.post(f"{path}/discovery-domains", {**domain, "use_for_organization_discovery": False})
        await api.patch(f"{path}/settings", {"domain_joining": "request"})
    context = await chromium.new_context(viewport=SIZES["phone"], color_scheme="dark")  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(asked_by(tenant, organization=organization["id"]))
    await expect(page.locator("button.primary")).to_have_css("background-color", "rgb(179, 64, 10)")
    await page.get_by_text("in North & Co").wait_for()
    assert await fits(page)
    await page.keyboard.type(user.email)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Enter your password").wait_for()
    await page.keyboard.type(user.password)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="You are not a member of North & Co").wait_for()
    assert await fits(page)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Ask to join")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="North & Co was asked to let you in").wait_for()
    assert await fits(page)
