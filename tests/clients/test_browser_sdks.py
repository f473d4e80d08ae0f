"""auth0-spa-js and oidc-client-ts, as they come from npm, in Chromium: sign in, and switch organization unseen.

The application is another origin of the tenant's site, as with a domain of the customer's own: browsers of these days
keep cookies from the hidden frames of other sites, whose applications switch by refresh token.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.clients.browser_application import application
from tests.clients.conftest import PACKAGES, Served
from tests.relying_party import payload

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.npm,
    pytest.mark.skipif(not PACKAGES.exists(), reason="needs packages from npm"),
]

AUTH0 = """
async (options) => {
  const {extra, ...more} = options;
  window.client = await auth0.createAuth0Client({...more, authorizationParams: extra, cacheLocation: "memory"});
}
"""
AUTH0_SILENT = """
async (organization) => {
  try {
    return await window.client.getTokenSilently({cacheMode: "off", authorizationParams: {organization}});
  } catch (error) {
    return {error: error.error ?? String(error)};
  }
}
"""
OIDC = "(options) => { window.manager = new oidc.UserManager(options) }"
OIDC_SILENT = """
async ({organization, audience}) => {
  try {
    const user = await window.manager.signinSilent({extraQueryParams: {organization, audience}});
    return {profile: user.profile, access_token: user.access_token};
  } catch (error) {
    return {error: error.error ?? String(error)};
  }
}
"""


@pytest.fixture(scope="module")
def app(served: Served) -> Iterator[str]:
    with application(served.authority.server) as origin:
        yield origin


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        context = await browser.new_context(ignore_https_errors=True)
        yield await context.new_page()
        await browser.close()


@pytest.fixture
async def client_id(served: Served, app: str) -> str:
    async with served.http() as http:
        api = await served.manager(http)
        made = await api.post(
            "/clients",
            {
                "name": "Single-page application",
                "app_type": "spa",
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
                "callbacks": [f"{app}/", f"{app}/silent"],
                "allowed_logout_urls": [f"{app}/"],
                "web_origins": [app],
                "jwt_configuration": {"alg": "RS256", "scope_claims": True},
            },
        )
    return str(made["client_id"])


async def sign_in(page: Page, served: Served, app: str) -> None:
    await page.fill("input[name=email]", served.tenant.users[0].email)
    await page.keyboard.press("Enter")
    await page.fill("input[name=password]", served.tenant.users[0].password)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{app}/?**")


async def auth0_signs_in(
    page: Page, served: Served, app: str, client_id: str, **options: Any
) -> dict[str, Any]:
    domain = served.tenant.issuer.removeprefix("https://").rstrip("/")
    extra = {
        "redirect_uri": f"{app}/",
        "audience": served.tenant.api_audience,
        "scope": "openid profile email read:invoices",
        "organization": served.tenant.organizations[0].id,
    }
    settings = {"domain": domain, "clientId": client_id, "extra": extra, **options}
    await page.goto(f"{app}/")
    await page.evaluate(AUTH0, settings)
    await page.evaluate("() => { window.client.loginWithRedirect() }")
    await page.wait_for_url(f"{served.tenant.issuer}**")
    await sign_in(page, served, app)
    await page.evaluate(AUTH0, settings)
    await page.evaluate("() => window.client.handleRedirectCallback()")
    claims: dict[str, Any] = await page.evaluate("() => window.client.getIdTokenClaims()")
    return claims


async def test_auth0_spa_js_switches_organization_in_a_hidden_frame(
    page: Page, served: Served, app: str, client_id: str
) -> None:
    north, south, east = served.tenant.organizations
    claims = await auth0_signs_in(page, served, app, client_id)
    assert (claims["org_id"], claims["email"]) == (north.id, served.tenant.users[0].email)
    token = await page.evaluate(AUTH0_SILENT, south.id)
    assert isinstance(token, str), token
    assert payload(token)["org_id"] == south.id
    assert (await page.evaluate(AUTH0_SILENT, east.id))["error"] == "access_denied"
    token = await page.evaluate(AUTH0_SILENT, north.id)
    assert payload(token)["org_id"] == north.id


async def test_auth0_spa_js_switches_organization_by_refresh_token(
    page: Page, served: Served, app: str, client_id: str
) -> None:
    north, south, east = served.tenant.organizations
    claims = await auth0_signs_in(page, served, app, client_id, useRefreshTokens=True)
    assert claims["org_id"] == north.id
    token = await page.evaluate(AUTH0_SILENT, south.id)
    assert isinstance(token, str), token
    assert payload(token)["org_id"] == south.id
    assert "error" in await page.evaluate(AUTH0_SILENT, east.id)


async def test_auth0_spa_js_holds_a_key(page: Page, served: Served, app: str, client_id: str) -> None:
    """With DPoP: nonces and proofs are the SDK's own affair, for the code, the refresh and the resource."""
    claims = await auth0_signs_in(page, served, app, client_id, useRefreshTokens=True, useDpop=True)
    token = await page.evaluate(AUTH0_SILENT, served.tenant.organizations[1].id)
    assert payload(token)["cnf"]["jkt"]
    told = await page.evaluate(
        """async ({url, organization}) => {
          const fetcher = window.client.createFetcher({
            dpopNonceId: "userinfo",
            getAccessToken: () => window.client.getTokenSilently({authorizationParams: {organization}}),
          });
          const answer = await fetcher.fetchWithAuth(url);
          return {status: answer.status, body: await answer.json()};
        }""",
        {"url": f"{served.tenant.issuer}userinfo", "organization": served.tenant.organizations[1].id},
    )
    assert (told["status"], told["body"]["sub"]) == (200, claims["sub"])
    plain = await page.evaluate(
        """async ({url, token}) => {
          const answer = await fetch(url, {headers: {Authorization: `Bearer ${token}`}});
          return answer.status;
        }""",
        {"url": f"{served.tenant.issuer}userinfo", "token": token},
    )
    assert plain == 401


async def test_auth0_spa_js_signs_out(page: Page, served: Served, app: str, client_id: str) -> None:
    await auth0_signs_in(page, served, app, client_id)
    await page.evaluate("(returnTo) => { window.client.logout({logoutParams: {returnTo}}) }", f"{app}/")
    await page.wait_for_url(f"{app}/")
    settings = {"domain": served.tenant.issuer.removeprefix("https://").rstrip("/"), "clientId": client_id}
    await page.evaluate(AUTH0, {**settings, "extra": {"redirect_uri": f"{app}/"}})
    assert (await page.evaluate(AUTH0_SILENT, served.tenant.organizations[0].id))["error"] == "login_required"


async def test_oidc_client_ts_switches_organization_in_a_hidden_frame(
    page: Page, served: Served, app: str, client_id: str
) -> None:
    north, south, east = served.tenant.organizations
    options = {
        "authority": served.tenant.issuer,
        "client_id": client_id,
        "redirect_uri": f"{app}/",
        "silent_redirect_uri": f"{app}/silent",
        "scope": "openid profile email read:invoices",
        "extraQueryParams": {"audience": served.tenant.api_audience, "organization": north.id},
        "loadUserInfo": True,
    }
    await page.goto(f"{app}/")
    await page.evaluate(OIDC, options)
    await page.evaluate("() => { window.manager.signinRedirect() }")
    await page.wait_for_url(f"{served.tenant.issuer}**")
    await sign_in(page, served, app)
    await page.evaluate(OIDC, options)
    user = await page.evaluate("async () => (await window.manager.signinRedirectCallback()).profile")
    assert (user["org_id"], user["email"]) == (north.id, served.tenant.users[0].email)
    audience = served.tenant.api_audience
    switched = await page.evaluate(OIDC_SILENT, {"organization": south.id, "audience": audience})
    assert "profile" in switched, switched
    assert switched["profile"]["org_id"] == south.id
    assert payload(switched["access_token"])["org_id"] == south.id
    refused = await page.evaluate(OIDC_SILENT, {"organization": east.id, "audience": audience})
    assert refused["error"] == "access_denied"
