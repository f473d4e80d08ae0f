"""A client that nobody made asks for consent, as a person's browser shows it: readable, reachable, never cut off."""

from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Browser, Page, ViewportSize

from entrypoints.demo_content import CALLBACK, Demo, DemoTenant
from tests.browser.test_device import FITS, ByLoopback
from tests.browser.test_journeys import sign_in

pytestmark = pytest.mark.browser

SIZES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 1280, "height": 800})
NAMES = ("Ledger And Bookkeeping Services For Everybody Everywhere Limited " * 3, "דפתר חשבונות בע״מ")
LOGO = "<svg xmlns='http://www.w3.org/2000/svg' width='160' height='48'><rect width='160' height='48'/></svg>"
CARD = {
    "client_uri": "https://ledger.example.com/",
    "logo_uri": "https://static.ledger.example.com/logo.svg",
    "policy_uri": "https://ledger.example.com/privacy",
    "tos_uri": "https://ledger.example.com/terms",
}
LARGE_ENOUGH = "(all) => all.every((one) => one.getBoundingClientRect().height >= 24)"
FOCUSED = """() => {
  const box = document.activeElement.getBoundingClientRect(), style = getComputedStyle(document.activeElement);
  const place = [box.top + scrollY, box.left];
  return {name: document.activeElement.innerText, place, outline: style.outlineStyle};
}"""
PALE = """() => {
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (one) => {
    const colour = numbers(getComputedStyle(one).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
    return one.parentElement ? ground(one.parentElement) : [255, 255, 255];
  };
  const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  return [...document.querySelectorAll("main *")].filter((one) => says(one)).filter((one) => {
    const [dark, bright] = [light(numbers(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05) < 4.5;
  }).map((one) => one.innerText);
}"""
"""What is written with less contrast than 4.5 to 1 (WCAG 2.2, 1.4.3)."""


async def register(tenant: DemoTenant, name: str) -> str:
    machine = tenant.clients["m2m"]
    form = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": machine.client_secret,
        "audience": tenant.management_audience,
    }
    said = {
        **CARD,
        "client_name": name.strip(),
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    }
    async with httpx.AsyncClient(transport=ByLoopback()) as http:
        token = (await http.post(f"{tenant.issuer}oauth/token", data=form)).json()["access_token"]
        opened = await http.patch(
            f"{tenant.issuer}api/v2/tenants/settings",
            json={"client_registration": {"mode": "open"}},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert opened.status_code == 200, opened.text
        made = await http.post(f"{tenant.issuer}oidc/register", json=said)
    assert made.status_code == 201, made.text
    return str(made.json()["client_id"])


def asked_by_stranger(tenant: DemoTenant, client_id: str) -> str:
    query = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email read:invoices",
        "audience": tenant.api_audience,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return f"{tenant.issuer}authorize?{urlencode(query)}"


async def walked_by_keyboard(page: Page) -> list[dict[str, Any]]:
    stops: list[dict[str, Any]] = []
    for _ in range(await page.locator("a[href], button").count()):
        await page.keyboard.press("Tab")
        stops.append(await page.evaluate(FOCUSED))
    return stops


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        (NAMES[0], SIZES[0], "light"),
        (NAMES[0], SIZES[1], "dark"),
        (NAMES[1], SIZES[0], "dark"),
        (NAMES[1], SIZES[1], "light"),
    ],
    ids=["long-phone-light", "long-desk-dark", "right-to-left-phone-dark", "right-to-left-desk-light"],
)
async def test_whoever_asks_can_be_read_and_answered_by_keyboard(
    served: Demo, chromium: Browser, name: str, size: ViewportSize, scheme: Any
) -> None:
    tenant = served.tenants[0]
    client_id = await register(tenant, name)
    context = await chromium.new_context(viewport=size, color_scheme=scheme, java_script_enabled=False)
    await context.route(
        "https://static.ledger.example.com/**",
        lambda route: route.fulfill(body=LOGO, content_type="image/svg+xml"),
    )
    page = await context.new_page()
    await page.goto(asked_by_stranger(tenant, client_id))
    await sign_in(page, tenant)
    await page.wait_for_selector(".stranger")
    assert await page.evaluate(FITS)
    assert await page.evaluate(PALE) == []
    assert await page.eval_on_selector_all("a, button", LARGE_ENOUGH)
    stops = await walked_by_keyboard(page)
    assert [stop["name"] for stop in stops] == [
        "Not you?", "Allow", "Cancel", "Website", "Privacy policy", "Terms"
    ]  # fmt: skip
    assert {stop["outline"] for stop in stops} == {"solid"}
    places = [stop["place"] for stop in stops]
    assert all(before < after for before, after in pairwise(places)), places
    await context.close()
