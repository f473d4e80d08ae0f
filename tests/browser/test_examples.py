"""The examples, started as their pages say, against the demo."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from entrypoints.demo_content import APP_PORT, Demo, DemoUser
from tests.browser.conftest import port_alone
from tests.browser.switching import choose, sign_in
from tests.serving import ROOT, demo_server

pytestmark = pytest.mark.browser

SHOP_AND_BOOKS = (9873, 9874)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    data = tmp_path_factory.mktemp("examples") / "data"
    called = ",".join(f"127.0.0.1:{port}" for port in SHOP_AND_BOOKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYSTEAD_OUTBOUND_ALLOWED", called)
        with demo_server(data) as demo:
            yield demo, data


@contextmanager
def example(module: str, data: Path, *ports: int) -> Iterator[None]:
    command = [sys.executable, "-m", module]
    environ = {**os.environ, "DATA": str(data)}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            for port in ports:
                wait_for(port, process)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise AssertionError(process.stderr.read() if process.stderr else "")
        try:
            httpx.get(f"http://127.0.0.1:{port}/login", follow_redirects=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on {port}")


async def at_the_invoices(chromium: Browser, user: DemoUser) -> Page:
    page = await (await chromium.new_context()).new_page()
    await page.goto(f"http://app.acme.localhost:{APP_PORT}/")
    await sign_in(page, user)
    await page.get_by_text("Choose an organization to see its invoices.").wait_for()
    return page


async def enter(page: Page, organization: str) -> None:
    await choose(page, organization)
    await expect(page.get_by_role("button", name=f"Organization: {organization}")).to_be_visible()
    await page.get_by_label("What it is for").wait_for()


async def add(page: Page, text: str) -> None:
    await page.get_by_label("What it is for").fill(text)
    await page.get_by_role("button", name="Add").click()
    await page.get_by_text(text, exact=True).wait_for()


async def rows(page: Page) -> list[str]:
    return await page.locator("li").all_text_contents()


async def test_invoices_of_another_organization_never_appear(
    made: tuple[Demo, Path], chromium: Browser
) -> None:
    demo, data = made
    ada, ben = demo.tenants[0].users[:2]
    with port_alone(APP_PORT), example("examples.organizations.app", data, APP_PORT):
        page = await at_the_invoices(chromium, ada)
        await enter(page, "Acme North")
        assert await rows(page) == []
        await add(page, "Northern <lights>")
        await enter(page, "Acme South")
        assert await rows(page) == []
        await add(page, "Southern oranges")
        await enter(page, "Acme North")
        assert await rows(page) == ["Northern <lights>"]

        former = await page.context.new_page()
        await former.goto(page.url)
        await enter(page, "Acme South")
        await former.get_by_label("What it is for").fill("Northern too")
        await former.get_by_role("button", name="Add").click()
        await expect(former.get_by_role("alert")).to_contain_text("in another tab: nothing was added")
        assert await rows(former) == ["Southern oranges"], "of a page that was shown for the North"

        other = await at_the_invoices(chromium, ben)
        await enter(other, "Acme South")
        assert await rows(other) == ["Southern oranges"]
        north = demo.tenants[0].organizations[0].id
        await other.goto(f"http://app.acme.localhost:{APP_PORT}/login?organization={north}")
        await expect(other.get_by_role("alert")).not_to_be_empty()
        assert await rows(other) == ["Southern oranges"], "who is no member stays where they were"

        await page.get_by_role("link", name="Sign out").click()
        await page.locator("input[name=email]").wait_for()


async def test_two_applications_share_a_session_from_its_begin_to_its_end(
    made: tuple[Demo, Path], chromium: Browser
) -> None:
    demo, data = made
    shop, books = SHOP_AND_BOOKS
    with port_alone(shop), example("examples.two_applications.app", data, shop, books):
        context = await chromium.new_context()
        page, other = await context.new_page(), await context.new_page()
        await page.goto(f"http://shop.acme.localhost:{shop}/")
        await page.get_by_role("link", name="Sign in").click()
        await sign_in(page, demo.tenants[0].users[0])
        await expect(page.get_by_text("You are Ada Example.")).to_be_visible()

        await other.goto(f"http://books.acme.localhost:{books}/")
        await expect(other.get_by_text("You are signed out.")).to_be_visible()
        await other.get_by_role("link", name="Sign in").click()
        await expect(other.get_by_text("You are Ada Example.")).to_be_visible()

        async with httpx.AsyncClient() as http:
            forged = {"logout_token": "eyJhbGciOiJub25lIn0.e30."}
            answer = await http.post(f"http://127.0.0.1:{shop}/backchannel-logout", data=forged)
        assert answer.status_code == 400
        await page.reload()
        await expect(page.get_by_text("You are Ada Example.")).to_be_visible()

        await other.get_by_role("link", name="Sign out").click()
        await expect(other.get_by_text("You are signed out.")).to_be_visible()
        for _ in range(100):
            await page.reload()
            if await page.get_by_text("You are signed out.").count():
                break
            await page.wait_for_timeout(100)
        await expect(page.get_by_text("You are signed out.")).to_be_visible()
