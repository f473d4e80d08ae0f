"""What a tenant says of its pages over the API is what its people see, and nothing that they should not."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from entrypoints.network import Api
from tests.installation import Installation
from tests.management.world import Place

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http(shared: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with shared.browser() as browser:
        yield browser


async def page(
    shared: Installation, http: httpx.AsyncClient, tenant_id: str = "acme", **asked: str
) -> httpx.Response:
    accepted = asked.pop("accept", None)
    if accepted is not None:
        http.headers["Accept-Language"] = accepted
    return await shared.relying_party(tenant_id, http=http).authorize(**asked)


def policy(response: httpx.Response) -> str:
    return response.headers["content-security-policy"]


async def test_colours_logo_icon_and_font_are_the_pages_and_the_setting(
    shared: Installation, http: httpx.AsyncClient
) -> None:
    api = await shared.manager("acme")
    before = await api.get("/branding")
    said = {
        "colors": {"primary": "#aa0055", "page_background": "#112233"},
        "logo_url": "https://static.acme.example/logo.svg",
        "favicon_url": "https://icons.acme.example/icon.png",
        "font": {"url": "https://fonts.acme.example/own.woff2"},
    }
    assert await api.patch("/branding", said) == said
    assert (await api.get("/tenants/settings"))["branding"] == said
    assert (await api.get("/branding", include_provenance="true"))["provenance"] == "tenant"
    shown = await page(shared, http)
    assert "--primary:#aa0055" in shown.text
    assert '<img class="logo" src="https://static.acme.example/logo.svg"' in shown.text
    assert '<link rel="icon" href="https://icons.acme.example/icon.png">' in shown.text
    assert 'src:url("https://fonts.acme.example/own.woff2")' in shown.text
    assert "font-src https://fonts.acme.example;" in policy(shown)
    assert re.search(r"img-src [^;]*https://icons.acme.example", policy(shown))
    await api.patch("/branding", {"font": None, "favicon_url": None})
    shown = await page(shared, http)
    assert "@font-face" not in shown.text
    assert 'rel="icon"' not in shown.text
    assert "font-src 'none'" in policy(shown)
    for wrong in (
        {"font": {"url": "http://fonts.acme.example/own.woff2"}},
        {"favicon_url": "javascript:alert(1)"},
        {"logo_url": 'https://a.example/"onload="x'},
        {"colors": {"primary": "red;}"}},
        {"nobody_knows": 1},
    ):
        assert await api.status("PATCH", "/branding", wrong) == 400, wrong
    await api.patch("/tenants/settings", {"branding": None})
    assert await api.get("/branding") == before


async def test_prompts_say_what_is_true_and_take_nothing_else(shared: Installation) -> None:
    api = await shared.manager("acme")
    settings = await api.get("/prompts")
    assert settings == {
        "universal_login_experience": "new",
        "identifier_first": True,
        "webauthn_platform_first_factor": False,
    }
    assert await api.patch("/prompts", settings) == settings
    for wrong in (
        {"universal_login_experience": "classic"},
        {"identifier_first": False},
        {"webauthn_platform_first_factor": True},
    ):
        assert await api.status("PATCH", "/prompts", wrong) == 400, wrong
    for path in ("/prompts/rendering", "/prompts/login/partials", "/branding/themes/default"):
        assert await api.status("GET", path) == 403, path
    assert await api.status("GET", "/branding/templates/universal-login") == 403


async def test_pages_speak_the_language_that_is_asked_for_if_the_tenant_has_it(
    shared: Installation,
) -> None:
    api = await shared.manager("globex")
    german, english = "Geben Sie Ihr Passwort ein", "Enter your password"

    async def password_page(**asked: str) -> httpx.Response:
        async with shared.browser() as http:
            party = shared.relying_party("globex", http=http)
            http.headers["Accept-Language"] = asked.pop("accept", "")
            await party.authorize(**asked)
            return await party.browser.submit({"email": party.user.email})

    assert english in (await password_page(ui_locales="de", accept="de")).text  # not enabled
    await api.patch("/tenants/settings", {"enabled_locales": ["en", "de"]})
    assert english in (await password_page()).text
    for asked in ({"ui_locales": "de-CH en"}, {"accept": "fr, de-DE;q=0.9, en;q=0.1"}):
        shown = await password_page(**asked)
        assert german in shown.text
        assert '<html lang="de">' in shown.text
    assert english in (await password_page(ui_locales="en", accept="de")).text  # the application knows better
    await api.patch("/tenants/settings", {"enabled_locales": ["de", "en"]})
    assert german in (await password_page(accept="fr")).text
    await api.patch("/tenants/settings", {"enabled_locales": None})


async def test_a_tenants_own_words_stand_on_its_page_escaped_and_nowhere_else(
    shared: Installation, http: httpx.AsyncClient
) -> None:
    api = await shared.manager("acme")
    path = "/prompts/login-id/custom-text/en"
    assert await api.get(path) == {}
    said = {
        "login-id": {
            "pageTitle": "In ${companyName} <b>",
            "title": "Hereinspaziert & {client} {0.__class__} ${clientName}",
            "description": "${clientName} <script>alert(1)</script>",
            "buttonText": "Los!",
        }
    }
    assert await put(api, path, said) == said
    assert await api.get(path) == said
    shown = await page(shared, http)
    assert "<script>alert(1)" not in shown.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.text
    assert "Hereinspaziert &amp; {client} {0.__class__}" in shown.text
    assert re.search(r"<title>In [^<]+ &lt;b&gt;</title>", shown.text)
    assert re.search(r'<button class="primary">\s*Los!', shown.text)
    named = re.search(r"\{0.__class__\} <bdi>([^<]+)</bdi>|\{0.__class__\} ([^<]+)</h1>", shown.text)
    assert named is not None
    async with shared.browser() as other:
        assert "Hereinspaziert" not in (await page(shared, other, "globex")).text
    assert "Hereinspaziert" not in str(await api.get("/tenants/settings"))
    assert await put(api, path, {}) == {}
    assert "Hereinspaziert" not in (await page(shared, http)).text


async def put(api: Api, path: str, body: object) -> object:
    return await api._call("PUT", path, json=body)


async def test_texts_that_no_page_shows_are_refused(shared: Installation) -> None:
    api = await shared.manager("acme")
    for prompt, body, status in (
        ("login-id", {"login-id": {"nobodyKnows": "x"}}, 400),
        ("login-id", {"login": {"title": "x"}}, 400),
        ("login-id", {"login-id": {"title": "x" * 1001}}, 400),
        ("login-id", {"login-id": {"title": "a\u0007b"}}, 400),
        ("login-id", {"login-id": {"title": "${inviterName}"}}, 400),
        ("login-id", {"login-id": {"title": 7}}, 400),
        ("login-id", {"login-id": "x"}, 400),
        ("login-id", [], 400),
        ("mfa-otp", {"mfa-otp-challenge": {"title": "x"}}, 400),
        ("mfa-otp", {}, 200),
        ("nobody-knows", {}, 404),
    ):
        assert await api.status("PUT", f"/prompts/{prompt}/custom-text/en", body) == status, (prompt, body)
    assert await api.status("PUT", "/prompts/login-id/custom-text/xx", {}) == 404
    assert await api.get("/prompts/mfa-otp/custom-text/de") == {}
    reset = {"reset-password-email": {"emailDescription": "${email}, ${minutes} Minuten"}}
    assert await put(api, "/prompts/reset-password/custom-text/de", reset) == reset
    await put(api, "/prompts/reset-password/custom-text/de", {})


async def test_a_language_of_a_tenants_own_words_falls_back_to_english(
    shared: Installation, http: httpx.AsyncClient
) -> None:
    api = await shared.manager("acme")
    await put(api, "/prompts/login-id/custom-text/fr", {"login-id": {"title": "Se connecter"}})
    await api.patch("/tenants/settings", {"enabled_locales": ["en", "fr"]})
    shown = (await page(shared, http, ui_locales="fr")).text
    assert '<html lang="fr">' in shown
    assert "Se connecter" in shown
    assert "Email address" in shown
    await put(api, "/prompts/login-id/custom-text/fr", {})
    await api.patch("/tenants/settings", {"enabled_locales": None})


async def test_the_control_planes_words_are_inherited_until_a_tenant_has_its_own(
    shared: Installation, http: httpx.AsyncClient
) -> None:
    plane, api = await shared.operator(), await shared.manager("acme")
    path = "/prompts/login-id/custom-text/en"
    inherited, own = {"login-id": {"title": "From above"}}, {"login-id": {"buttonText": "Mine"}}
    await put(plane, path, inherited)
    await shared.running.platform.lifecycle.wait_synced()
    assert await api.get(path, include_provenance="true") == {**inherited, "provenance": "control_plane"}
    assert "From above" in (await page(shared, http)).text
    await put(api, path, own)
    assert await api.get(path, include_provenance="true") == {**own, "provenance": "tenant"}
    assert "From above" not in (await page(shared, http)).text
    await put(api, path, {})
    assert await api.get(path) == inherited
    await put(plane, path, {})
    await shared.running.platform.lifecycle.wait_synced()
    assert await api.get(path) == {}


async def test_every_change_is_in_the_log(acme: Place) -> None:
    api = acme.api()
    await api("PUT", "/prompts/login-id/custom-text/en", {"login-id": {"title": "Told"}})
    await api.patch("/branding", {"colors": {"primary": "#010203"}})
    told = [event.details for event in await acme.events() if event.type == "sapi"]
    assert told[0]["after"]["login-id"] == {"title": "Told"}
    assert told[1]["after"]["colors"] == {"primary": "#010203"}
