"""`<keystead-organization-switcher>` and `createTokens`, loaded from a tenant into a customer's page."""

import asyncio
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Route, expect

from entrypoints.demo_content import APP_PORT, Demo, DemoTenant
from entrypoints.network import LoopbackTransport
from tests.browser.conftest import listening
from tests.browser.reacting import in_react, react_files
from tests.browser.switching import (
    choose,
    focused,
    opened,
    pages_of,
    pressed,
    token_claims,
    told,
    until,
    use_tokens,
)
from tests.browser.test_journeys import app_address
from tests.clients.conftest import PACKAGES
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.browser

NORTH, SOUTH, EAST = "Acme North", "Acme South", "Acme East"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def tenant(served: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoTenant]:
    tenant = served.tenants[0]
    react = react_files(tenant, tmp_path_factory.mktemp("react")) if PACKAGES.exists() else {}
    with listening(APP_PORT, pages_of(tenant, react)):
        yield tenant


async def test_it_stands_in_a_page_whose_policy_forbids_all_but_its_module(
    tenant: DemoTenant, chromium: Browser
) -> None:
    complaints: list[str] = []
    page = await opened(chromium, tenant, tenant.users[0])
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.reload()
    await until(page, "window.switcher && switcher.organizations.length === 2")
    await page.evaluate("(id) => (switcher.active = id)", tenant.organizations[1].id)
    await expect(page.locator("header")).to_match_aria_snapshot(f"- 'button \"Organization: {SOUTH}\"'")
    await page.get_by_role("button", name="Organization:").click()
    await expect(page.locator("header")).to_match_aria_snapshot(
        f"""
        - 'button "Organization: {SOUTH}" [expanded]'
        - menu "Organization":
          - group "Organization":
            - menuitemradio "{NORTH}"
            - menuitemradio "{SOUTH}" [checked]
          - group:
            - menuitem "Create an organization…"
        """
    )
    await page.get_by_role("menuitem", name="Create").click()
    await expect(page.get_by_role("dialog")).to_match_aria_snapshot(
        """
        - dialog "New organization":
          - heading "New organization" [level=2]
          - textbox "Name"
          - textbox "Short name Small letters, digits and hyphens"
          - button "Create"
          - button "Cancel"
        """
    )
    assert complaints == []


async def test_what_a_page_sets_before_the_module_has_come_is_kept(
    tenant: DemoTenant, chromium: Browser
) -> None:
    """Signed out, so that the list is the page's own; its function was set on an element nobody had defined yet."""
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(app_address(tenant, APP_PORT))
    await until(page, "window.switcher")
    await expect(page.get_by_role("button", name="Organization: No organization")).to_be_visible()
    await page.evaluate(
        "switcher.organizations = [{id: 'one', name: 'One & <b>Co</b>'}, {id: 'two', name: 'Two'}]"
    )
    await choose(page, "One & <b>Co</b>")
    await expect(page.get_by_role("button", name="Organization: One & <b>Co</b>")).to_be_visible()
    assert await page.evaluate("chosen") == ["one"]
    assert await told(page) == [["organizationchange", "One & <b>Co</b>"]]
    await page.evaluate("switcher.texts = {label: 'Organisation', create: 'Neu…'}")
    await page.get_by_role("button", name="Organisation: One").click()
    await expect(page.get_by_role("menuitem", name="Neu…")).to_be_visible()


@pytest.mark.parametrize("way", ["silently", "by refresh token"])
async def test_each_organization_has_a_token_of_its_own(
    tenant: DemoTenant, chromium: Browser, way: str
) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    north, south = (one.id for one in tenant.organizations[:2])
    await use_tokens(page, await refresh_token(tenant) if way == "by refresh token" else None)
    frames: list[str] = []
    page.on("frameattached", lambda frame: frames.append(frame.name))
    for name, organization_id in [(NORTH, north), (SOUTH, south), (NORTH, north)]:
        await choose(page, name)
        await expect(page.get_by_role("button", name=f"Organization: {name}")).to_be_visible()
        await until(page, f"kept.active === '{organization_id}'")
        assert (await token_claims(page))["org_id"] == organization_id
    assert (await token_claims(page, south))["org_id"] == south
    assert bool(frames) == (way == "silently")
    await page.evaluate("kept.forget()")
    with pytest.raises(Exception, match="No organization is active"):
        await token_claims(page)


async def refresh_token(tenant: DemoTenant) -> str:
    """What the page would have had from signing in."""
    async with httpx.AsyncClient(transport=LoopbackTransport()) as http:
        party = RelyingParty(http, tenant.issuer, tenant.clients["spa"], tenant.api_audience, tenant.users[0])
        return (await party.sign_in()).refresh_token


async def test_who_is_no_member_stays_where_they_are_and_reads_why(
    tenant: DemoTenant, chromium: Browser
) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    await use_tokens(page)
    listed = [{"id": one.id, "name": one.name} for one in tenant.organizations]
    await page.evaluate("(list) => (switcher.organizations = list)", listed)
    await choose(page, "acme-north")
    await expect(page.get_by_role("button", name="Organization: acme-north")).to_be_visible()
    await choose(page, "acme-east")
    await expect(page.get_by_role("alert")).not_to_be_empty()
    await expect(page.get_by_role("button", name="Organization: acme-north")).to_be_visible()
    assert (await token_claims(page))["org_id"] == tenant.organizations[0].id
    assert [name for name, _ in await told(page)] == ["organizationchange", "organizationerror"]


async def test_a_late_answer_for_a_former_choice_changes_nothing(
    tenant: DemoTenant, chromium: Browser
) -> None:
    """The answer for the north is held back until the south is active; then nothing becomes of it."""
    page = await opened(chromium, tenant, tenant.users[0])
    await use_tokens(page)
    go_on, is_held = asyncio.Event(), asyncio.Event()
    north, south = (one.id for one in tenant.organizations[:2])

    async def hold(route: Route) -> None:
        if parse_qs(urlsplit(route.request.url).query).get("organization") == [north]:
            is_held.set()
            await go_on.wait()
        await route.continue_()

    await page.route(f"{tenant.issuer}authorize**", hold)
    await choose(page, NORTH)
    await asyncio.wait_for(is_held.wait(), 10)
    await choose(page, SOUTH)
    await expect(page.get_by_role("button", name=f"Organization: {SOUTH}")).to_be_visible()
    go_on.set()
    assert (await token_claims(page, north))["org_id"] == north  # the same request, answered by now
    assert (await token_claims(page))["org_id"] == south
    assert await page.evaluate("[kept.active, switcher.active]") == [south, south]
    assert await told(page) == [["organizationchange", SOUTH]]


async def test_who_goes_back_meanwhile_stays(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    north, south = (one.id for one in tenant.organizations[:2])
    await page.evaluate(
        """(id) => { switcher.active = id; window.waiting = {};
        switcher.switchOrganization = ({id}) => (chosen.push(id), new Promise((go) => (waiting[id] = go))); }""",
        north,
    )
    await choose(page, SOUTH)
    await choose(page, NORTH)
    assert await page.evaluate("chosen") == [south, north]  # the page's tokens are told of the way back, too
    await page.evaluate("([south, north]) => { waiting[south](); waiting[north](); }", [south, north])
    await expect(page.locator("#opener[aria-busy]")).to_have_count(0)
    await expect(page.get_by_role("button", name=f"Organization: {NORTH}")).to_be_visible()
    assert await told(page) == []


async def test_what_was_asked_for_before_signing_out_is_for_nobody(
    tenant: DemoTenant, chromium: Browser
) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    await use_tokens(page)
    outcome = await page.evaluate(
        """async (id) => { const asked = kept.accessToken(id).catch((error) => error.message);
        kept.forget(); return [await asked, kept.active]; }""",
        tenant.organizations[0].id,
    )
    assert outcome == ["Signed out.", None]


async def test_many_calls_at_once_use_one_refresh(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    await use_tokens(page, await refresh_token(tenant))
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.method) if "/oauth/token" in request.url else None
    )
    north, south = (one.id for one in tenant.organizations[:2])
    given = await page.evaluate(
        """async ([north, south]) => (await Promise.all([north, south, north, south, north]
        .map((id) => kept.accessToken(id)))).map((token) => claims(token).org_id)""",
        [north, south],
    )
    assert given == [north, south, north, south, north]
    assert asked.count("POST") == 2


async def test_an_organization_is_made_and_entered(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[2])
    await page.get_by_role("button", name="Organization:").click()
    await page.get_by_role("menuitem", name="Create").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("West & Sons")
    await dialog.get_by_label("Short name").fill("Not So")
    await pressed(page, "Enter")
    await expect(dialog).to_be_visible()  # the browser asks for another spelling
    await dialog.get_by_label("Short name").fill("acme-north")
    await pressed(page, "Enter")
    await expect(dialog.get_by_role("alert")).to_have_text("Organization already exists")
    await dialog.get_by_label("Short name").fill("west")
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route("**/organization/create", hold)
    await pressed(page, "Enter")
    await expect(dialog.locator("form")).to_have_attribute("aria-busy", "true")
    go_on.set()
    await expect(page.get_by_role("button", name="Organization: West & Sons")).to_be_visible()
    await expect(dialog).to_have_count(0)
    assert await told(page) == [["organizationcreate", "West & Sons"], ["organizationchange", "West & Sons"]]
    assert len(await page.evaluate("switcher.organizations")) == 4


async def test_an_invitation_is_accepted_another_declined(tenant: DemoTenant, chromium: Browser) -> None:
    inviter = await opened(chromium, tenant, tenant.users[2])
    for slug in ("sun", "moon"):
        made = await inviter.evaluate("(slug) => ask('organization/create', {name: slug, slug})", slug)
        invited = await inviter.evaluate(
            "(body) => ask('organization/invite-member', body)",
            {"organizationId": made["id"], "email": tenant.users[1].email, "role": "member"},
        )
        assert invited["status"] == "pending"
    page = await opened(chromium, tenant, tenant.users[1])
    for slug, answer in (("moon", "Decline"), ("sun", "Accept")):
        await page.get_by_role("button", name="Organization:").click()
        await page.get_by_role("menuitem", name=f"Invitation to {slug}").click()
        await (
            page.get_by_role("dialog", name=f"You are invited to {slug}.")
            .get_by_role("button", name=answer)
            .click()
        )
        await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Organization: sun")).to_be_visible()
    assert await told(page) == [["organizationjoin", "sun"], ["organizationchange", "sun"]]
    names = [one["name"] for one in await page.evaluate("switcher.organizations")]
    assert "sun" in names
    assert "moon" not in names
    await page.get_by_role("button", name="Organization:").click()
    await expect(page.get_by_role("menuitemradio", name="sun")).to_be_visible()
    await expect(page.get_by_text("Invitation to")).to_have_count(0)


async def test_keys_alone_do_everything(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    menu = page.get_by_role("menu")
    await pressed(page, "Tab", "ArrowDown")
    assert await focused(page) == NORTH
    await pressed(page, "ArrowDown")
    assert await focused(page) == SOUTH
    await pressed(page, "End")
    assert await focused(page) == "Create an organization…"
    await pressed(page, "ArrowDown")
    assert await focused(page) == NORTH
    await pressed(page, "ArrowUp", "Home")
    assert await focused(page) == NORTH
    await pressed(page, *"acme s")
    assert await focused(page) == SOUTH, "a blank inside of a name chooses nothing"
    await page.wait_for_timeout(600)
    await pressed(page, "a", "a")
    assert await focused(page) == SOUTH, "the same letter goes round"
    await pressed(page, "Escape")
    await expect(menu).to_be_hidden()
    assert await focused(page) == "No organization"
    await pressed(page, "ArrowUp")
    assert await focused(page) == "Create an organization…"
    await pressed(page, "Tab")
    await expect(menu).to_be_hidden()
    assert await focused(page) == "After it"
    await pressed(page, "Shift+Tab", "Enter", "ArrowDown", "Enter")
    await expect(page.get_by_role("button", name=f"Organization: {SOUTH}")).to_be_focused()
    await pressed(page, "Space")
    assert await focused(page) == SOUTH, "the one that is chosen"
    await pressed(page, "End", "Enter")
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    await pressed(page, "Escape")
    await expect(page.get_by_role("button", name=f"Organization: {SOUTH}")).to_be_focused()


async def test_a_menu_that_is_drawn_anew_keeps_its_place(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[0])
    await pressed(page, "Tab", "ArrowDown", "ArrowDown")
    await page.evaluate(
        "switcher.organizations = [{id: 'new', name: 'A new one'}, ...switcher.organizations]"
    )
    assert await focused(page) == SOUTH
    await page.evaluate("switcher.organizations = [{id: 'new', name: 'A new one'}]")
    await expect(page.get_by_role("menu")).to_be_hidden()
    await expect(page.get_by_role("button", name="Organization:")).to_be_focused()


async def test_it_is_inside_of_a_small_window(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[0], viewport=PHONE)
    await page.evaluate(
        "switcher.organizations = [...switcher.organizations, {id: 'long', name: 'An organization '.repeat(12)}]"
    )
    await choose(page, "An organization")
    await page.get_by_role("button", name="Organization:").click()
    for part in (page.get_by_role("menu"), page.get_by_role("button", name="Organization:")):
        box = await part.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    await page.mouse.click(5, 400)
    await expect(page.get_by_role("menu")).to_be_hidden()
    await page.evaluate(
        "document.querySelector('header').style = 'position: fixed; bottom: 0; inset-inline: 0'"
    )
    await page.get_by_role("button", name="Organization:").click()
    box = await page.get_by_role("menu").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= PHONE["height"]


async def test_what_went_wrong_is_no_wider_than_the_button(tenant: DemoTenant, chromium: Browser) -> None:
    page = await opened(chromium, tenant, tenant.users[0], viewport=PHONE)
    before = await page.locator("keystead-organization-switcher").bounding_box()
    await page.evaluate(
        """() => { switcher.switchOrganization = async () => {
        throw new Error("You are no member of it any more. ".repeat(4)); }; }"""
    )
    await choose(page, SOUTH)
    await expect(page.get_by_role("alert")).to_be_visible()
    after = await page.locator("keystead-organization-switcher").bounding_box()
    assert before is not None
    assert after is not None
    assert (after["x"], after["width"]) == (before["x"], before["width"])


@pytest.mark.npm
@pytest.mark.skipif(not PACKAGES.exists(), reason="needs packages from npm")
async def test_the_component_for_react_shows_no_organization_what_is_of_another(
    tenant: DemoTenant, chromium: Browser
) -> None:
    page, invoices = await in_react(chromium, tenant)
    shown = page.locator("li")
    await choose(page, NORTH)
    await expect(shown).to_have_text([f"Invoice of {NORTH}"])
    invoices.held = SOUTH
    await choose(page, SOUTH)
    await expect(page.get_by_role("button", name=f"Organization: {SOUTH}")).to_be_visible()
    await expect(shown).to_have_count(0)
    await choose(page, NORTH)
    await expect(shown).to_have_text([f"Invoice of {NORTH}"])
    invoices.go_on.set()
    await until(page, "queries.getQueryCache().getAll().every(({state}) => state.status === 'success')")
    await expect(shown).to_have_text([f"Invoice of {NORTH}"])
    await choose(page, SOUTH)
    await expect(shown).to_have_text([f"Invoice of {SOUTH}"])
    assert await page.evaluate("changes") == 4, "one for each choice, although StrictMode draws all twice"

    await page.get_by_role("button", name="Organization:").click()
    await page.evaluate("root.unmount()")
    await expect(page.locator("#app")).to_be_empty()
    await page.evaluate("mount()")
    await choose(page, NORTH)
    await expect(shown).to_have_text([f"Invoice of {NORTH}"])
    assert invoices.answered == [NORTH, SOUTH], "the rest was kept"
    assert await page.evaluate("complaints") == []
