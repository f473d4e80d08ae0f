"""Names that people choose are text on every page, whatever is in them."""

import pytest

from tests.installation import Installation
from tests.operators import make_user
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}${7*7}"


def check(page: str) -> None:
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "49" not in page.partition("{{7*7}}")[0][-5:]
    assert "alert(1)" in page, "the name is shown, as text"


async def test_no_page_runs_what_a_name_says(installation: Installation) -> None:
    acme, operator = await installation.manager("acme"), await installation.operator()
    tenant, client = installation.tenant("acme"), installation.tenant("acme").clients["web"]
    await operator.patch("/tenants/acme", {"display_name": HOSTILE})
    await acme.patch("/tenants/settings", {"friendly_name": HOSTILE})
    await acme.patch(
        f"/clients/{client.client_id}",
        {"name": HOSTILE, "is_first_party": False, "organization_usage": "require"}
        | {"organization_require_behavior": "post_login_prompt"},
    )
    user_id, user = await make_user(
        installation, tenant.issuer, acme._headers["Authorization"].removeprefix("Bearer "), name=HOSTILE
    )
    for organization in tenant.organizations[:2]:
        await acme.patch(f"/organizations/{organization.id}", {"display_name": HOSTILE})
        await acme.post(f"/organizations/{organization.id}/members", {"members": [user_id]})
    async with installation.browser() as http:
        rp = RelyingParty(http, tenant.issuer, client, tenant.api_audience, user)
        check((await rp.authorize(login_hint=HOSTILE)).text)
        check((await rp.browser.submit({"email": user.email})).text)
        check((await rp.browser.submit({"password": user.password})).text)
        choice = rp.browser.forms()[0].buttons[0]
        check((await rp.browser.submit({}, button=choice)).text)
        check((await http.get(f"{tenant.issuer}oidc/logout", params={"client_id": client.client_id})).text)
        check((await http.get(tenant.issuer)).text)


async def test_a_form_that_sends_itself_holds_only_text(installation: Installation) -> None:
    rp = installation.relying_party("acme")
    await rp.sign_in()
    page = await rp.authorize(response_mode="form_post", state=HOSTILE)
    check(page.text)
    assert rp.browser.forms()[0].fields["state"] == HOSTILE


async def test_a_message_holds_only_text(installation: Installation) -> None:
    tenant = installation.tenant("acme")
    spa = tenant.clients["spa"]
    address = f"http://app.{tenant.issuer.removeprefix('http://').partition(':')[0]}:9872/"
    rp = RelyingParty(installation.http, tenant.issuer, spa, tenant.api_audience, tenant.users[0], address)
    page = await rp.authorize(
        prompt="none", response_mode="web_message", state=HOSTILE + "</script>\u2028<!--"
    )
    assert page.status_code == 200
    assert "alert(1)</script>" not in page.text
    assert "<!--" not in page.text.partition("message")[2]


@pytest.mark.parametrize(
    "logo", ["https://x.example/a;script-src *", "javascript:alert(1)", "https://x.example\r\nA: b"]
)
async def test_no_address_of_a_logo_ends_the_policy_of_a_page(installation: Installation, logo: str) -> None:
    acme = await installation.manager("acme")
    await acme.status("PATCH", "/tenants/settings", {"branding": {"logo_url": logo}})
    page = await installation.relying_party("acme").authorize()
    policy = page.headers["content-security-policy"]
    assert policy.count("script-src") == 1
    assert "script-src 'none'" in policy
    assert "a" not in page.headers
