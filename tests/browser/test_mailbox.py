"""The demo's mailbox: a person reads a code and follows a link there, on a phone and on a desk."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, Page

from core.clock import SystemClock
from core.mail import FolderMailer, Letter
from entrypoints.demo_app import create_demo_app
from entrypoints.demo_content import Demo, DemoControlPlane, DemoTenant
from entrypoints.network import Api, LoopbackTransport, client_credentials
from tests.mailbox import OTP
from tests.serving import demo_server, free_port

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    data = tmp_path_factory.mktemp("browser") / "data"
    with demo_server(data) as demo:
        yield demo, data / "mail"


@asynccontextmanager
async def mailbox(demo: Demo, folder: Path) -> AsyncIterator[str]:
    """The demo application on a port of its own; answers the mailbox's address."""
    port = free_port()
    config = uvicorn.Config(
        create_demo_app(demo, folder), port=port, log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{port}/mailbox"
    server.should_exit = True
    await serving


async def phone_client(http: httpx.AsyncClient, tenant: DemoTenant) -> str:
    machine = tenant.clients["m2m"]
    token = await client_credentials(
        http, tenant.issuer, machine.client_id, machine.client_secret or "", tenant.management_audience
    )
    body = {
        "name": "Phone",
        "app_type": "native",
        "is_first_party": True,
        "token_endpoint_auth_method": "none",
        "grant_types": [OTP],
    }
    made = await Api(http, f"{tenant.issuer}api/v2", token).post("/clients", body)
    return str(made["client_id"])


async def fits(page: Page) -> bool:
    return bool(
        await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )


@pytest.mark.parametrize("size", SIZES)
async def test_a_code_is_read_and_a_link_followed_where_the_demo_shows_its_mails(
    mailing: tuple[Demo, Path], chromium: Browser, size: str
) -> None:
    demo, folder = mailing
    tenant, email = demo.tenants[0], f"new-{size}@example.org"
    user = tenant.users[list(SIZES).index(size)]
    async with (
        mailbox(demo, folder) as address,
        httpx.AsyncClient(transport=LoopbackTransport(), timeout=20) as http,
    ):
        context = await chromium.new_context(viewport=SIZES[size])  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(address)
        await page.get_by_role("heading", name="Mailbox").wait_for()
        client_id = await phone_client(http, tenant)
        asked = {"client_id": client_id, "connection": "email", "email": email, "send": "code"}
        assert (await http.post(f"{tenant.issuer}passwordless/start", json=asked)).status_code == 200
        await page.get_by_role("link", name=email).click()  # it comes by itself
        assert await fits(page)
        frame = page.frame_locator("iframe")
        found = re.search(r"\b[0-9]{6}\b", await frame.locator("body").inner_text())
        assert found is not None
        assert found[0] in await page.inner_text("pre")
        guess = {"grant_type": OTP, "client_id": client_id, "username": email, "otp": found[0]}
        redeemed = await http.post(f"{tenant.issuer}oauth/token", data={**guess, "realm": "email"})
        assert redeemed.status_code == 200, redeemed.text
        forgot = {
            "client_id": tenant.clients["spa"].client_id,
            "connection": "Username-Password-Authentication",
            "email": user.email,
        }
        await http.post(f"{tenant.issuer}dbconnections/change_password", json=forgot)
        await page.get_by_role("link", name="All mails").click()
        await page.get_by_role("link", name=tenant.id, exact=True).click()
        assert await fits(page)
        await page.get_by_role("listitem").get_by_role("link", name=user.email).click()
        async with context.expect_page() as opening:
            await page.frame_locator("iframe").get_by_role("link", name="Choose a new password").click()
        opened = await opening.value
        await opened.fill("[name=password]", f"seven unrelated words {size}")
        await opened.get_by_role("button", name="Change password").click()
        await opened.get_by_role("heading", name="Your password is changed").wait_for()
        await page.goto(f"{address}?tenant=globex")
        assert await page.get_by_role("link", name=email).count() == 0


async def test_a_mail_runs_nothing_and_nobody_elsewhere_reads_it(chromium: Browser, tmp_path: Path) -> None:
    evil = "<script>parent.document.title='taken';document.title='run'</script><form action='/logout'><input name=q>"
    letter = Letter(
        to="ada@example.org",
        subject="<script>document.title='taken'</script>",
        text="<img src=x onerror=alert(1)> http://acme.localhost/x?a=1&b=2\n",
        html=f"<h1>Hello</h1>{evil}<a href='javascript:alert(1)'>x</a>",
        tenant_id="acme",
    )
    await FolderMailer(tmp_path, "a@example.org", SystemClock()).send(letter)
    plane = DemoControlPlane(issuer="", management_audience="", users=[], clients={})
    nobody = Demo(control_plane=plane, tenants=[])
    async with mailbox(nobody, tmp_path) as address, httpx.AsyncClient() as http:
        page = await chromium.new_page()
        await page.goto(address)
        await page.get_by_role("link", name="ada@example.org").click()
        frame = page.frame_locator("iframe")
        await frame.get_by_role("heading", name="Hello").wait_for()
        assert await page.title() == letter.subject
        link = page.get_by_role("link", name="http://acme.localhost")
        assert await link.get_attribute("href") == "http://acme.localhost/x?a=1&b=2"
        shown = await http.get(f"{page.url}/html")
        assert "sandbox" in shown.headers["content-security-policy"]
        assert "script-src" not in shown.headers["content-security-policy"]
        rebound = await http.get(address, headers={"host": "evil.example.com"})
        assert rebound.status_code == 403
        for name in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "000000000000000-00000000"):
            assert (await http.get(f"{address}/{name}")).status_code == 404
