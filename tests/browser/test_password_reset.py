"""A forgotten password, as a person's browser sees it, on a phone and on a desk."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from core.mail import letters_in
from entrypoints.demo_content import Demo
from tests.browser.test_journeys import asked_by
from tests.serving import demo_server

pytestmark = pytest.mark.browser

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    data = tmp_path_factory.mktemp("browser") / "data"
    with demo_server(data) as demo:
        yield demo, data / "mail"


async def link_sent(folder: Path, address: str) -> str:
    for _ in range(200):
        for letter in letters_in(folder):
            body = letter.get_body(("plain",))
            if letter["to"] == address and body is not None:
                found = re.search(r"http\S+", str(body.get_content()))
                assert found is not None
                return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError("no letter came")


async def fits(page: Page) -> bool:
    return bool(
        await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )


@pytest.mark.parametrize("size", SIZES)
async def test_a_forgotten_password_is_replaced_by_a_link_from_a_letter(
    mailing: tuple[Demo, Path], chromium: Browser, callback: str, size: str
) -> None:
    demo, folder = mailing
    tenant = demo.tenants[0]
    user = tenant.users[list(SIZES).index(size)]
    context = await chromium.new_context(viewport=SIZES[size])  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(asked_by(tenant))
    await page.fill("[name=email]", user.email)
    await page.click("button.primary")
    await page.get_by_role("link", name="Forgot your password?").click()
    assert await page.input_value("[name=email]") == user.email
    assert await fits(page)
    await page.get_by_role("button", name="Send the link").click()
    await page.get_by_role("heading", name="Check your mail").wait_for()
    assert await fits(page)
    link = await link_sent(folder, user.email)
    elsewhere = await (await chromium.new_context(viewport=SIZES[size])).new_page()  # type: ignore[arg-type]
    await elsewhere.goto(link)
    assert await fits(elsewhere)
    await elsewhere.fill("[name=password]", "password123")
    await elsewhere.get_by_role("button", name="Change password").click()
    await elsewhere.get_by_text("easy to guess").wait_for()
    await elsewhere.fill("[name=password]", f"seven unrelated words {size}")
    await elsewhere.get_by_role("button", name="Change password").click()
    await elsewhere.get_by_role("heading", name="Your password is changed").wait_for()
    assert await fits(elsewhere)
    await elsewhere.goto(link)
    assert "This link was used" in await elsewhere.inner_text("main")
    await page.get_by_role("link", name="Back to sign in").click()
    await page.fill("[name=email]", user.email)
    await page.click("button.primary")
    await page.fill("[name=password]", f"seven unrelated words {size}")
    await page.click("button.primary")
    await page.wait_for_url(f"{callback}**")
    assert "code=" in page.url
