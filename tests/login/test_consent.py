"""Consent: who is asked, what the page shows, how long it holds."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from entrypoints.demo_content import CALLBACK, DemoClient
from tests.installation import Installation
from tests.registrations import consented_code, let_register, registered, stranger
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

LEDGER = {
    "client_name": "Ledger",
    "client_uri": "https://ledger.example.com/",
    "logo_uri": "https://static.ledger.example.com/logo.png",
    "policy_uri": "https://ledger.example.com/privacy",
    "tos_uri": "https://ledger.example.com/terms",
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
}
ALLOW, DENY = ("decision", "allow"), ("decision", "deny")


@pytest.fixture
async def opened(installation: Installation) -> Installation:
    await let_register(installation, "acme", mode="open")
    return installation


@pytest.fixture
async def ledger(opened: Installation) -> dict[str, Any]:
    return await registered(opened, "acme", redirect_uris=["https://app.ledger.example.com/cb"], **LEDGER)


@pytest.fixture
async def party(opened: Installation, ledger: dict[str, Any]) -> AsyncIterator[RelyingParty]:
    async with opened.browser() as http:
        yield stranger(opened, "acme", ledger, http=http)


def sources(policy: str, directive: str) -> list[str]:
    found = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    return found[directive].split()


async def test_every_page_shows_what_the_client_says_of_itself(party: RelyingParty) -> None:
    pages = [await party.authorize(), await party.browser.submit({"email": party.user.email})]
    pages.append(await party.browser.submit({"password": party.user.password}))
    for page in pages:
        for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri"):
            assert str(LEDGER[name]) in page.text, name
        assert "Ledger" in page.text
        policy = page.headers["content-security-policy"]
        assert "https://static.ledger.example.com" in sources(policy, "img-src")
        assert sources(policy, "script-src") == ["'none'"]
    assert "/u/consent" in str(pages[-1].url)


async def test_the_page_says_that_nobody_knows_a_registered_client_and_where_it_leads(
    party: RelyingParty,
) -> None:
    await party.authorize()
    page = await party.log_in()
    assert 'class="stranger"' in page.text
    assert "nobody has checked who it is" in page.text
    assert "<bdi>app.ledger.example.com</bdi>" in page.text
    assert "Read invoices" in page.text


async def test_whom_an_operator_vouches_for_is_no_stranger_and_asks_nothing(
    opened: Installation, ledger: dict[str, Any], party: RelyingParty
) -> None:
    manager = await opened.manager("acme")
    await manager.patch(f"/clients/{ledger['client_id']}", {"is_first_party": True})
    await party.authorize()
    page = await party.log_in()
    assert party.browser.landed is not None, page.text


async def test_an_operators_third_party_client_asks_but_is_no_stranger(opened: Installation) -> None:
    manager = await opened.manager("acme")
    made = await manager.post(
        "/clients",
        {"name": "Partner", "app_type": "spa", "is_first_party": False, "callbacks": [CALLBACK]},
    )
    tenant = opened.tenant("acme")
    async with opened.browser() as http:
        party = RelyingParty(
            http, tenant.issuer, DemoClient(made["client_id"]), tenant.api_audience, tenant.users[0]
        )
        await party.authorize()
        page = await party.log_in()
    assert "Partner wants to access" in page.text.replace("<bdi>", "").replace("</bdi>", "")
    assert 'class="stranger"' not in page.text


async def test_names_and_addresses_of_a_client_are_text_on_the_page(opened: Installation) -> None:
    hostile = '"><script>alert(1)</script>'
    client = await registered(opened, "acme", client_name=hostile)
    async with opened.browser() as http:
        party = stranger(opened, "acme", client, http=http)
        page = await party.authorize()
        assert "<script>alert" not in page.text
        page = await party.log_in()
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;" in page.text


async def test_consent_is_remembered_for_what_it_was_given(party: RelyingParty) -> None:
    await consented_code(party, scope="openid email", audience=None)
    assert "code" in await party.silent(scope="openid email", audience=None)
    assert "code" in await party.silent(scope="openid", audience=None)
    for more in (
        {"scope": "openid email profile", "audience": None},
        {"scope": "openid email"},  # of the API
    ):
        assert (await party.silent(**more))["error"] == "consent_required"


async def test_consent_without_an_organization_is_none_for_one(
    opened: Installation, party: RelyingParty
) -> None:
    mine = [one.id for one in opened.tenant("acme").organizations if party.user.email in one.members]
    await consented_code(party)
    assert (await party.silent(organization=mine[0]))["error"] == "consent_required"
    page = await party.authorize(organization=mine[0])
    assert "In the organization" in page.text
    await party.browser.submit(button=ALLOW)
    assert "code" in await party.silent(organization=mine[0])
    assert (await party.silent(organization=mine[1]))["error"] == "consent_required"


async def test_consent_to_one_client_is_none_to_another(opened: Installation, party: RelyingParty) -> None:
    await consented_code(party)
    other = stranger(opened, "acme", await registered(opened, "acme", **LEDGER), http=party.http)
    assert (await other.silent())["error"] == "consent_required"


async def test_prompt_consent_asks_again_each_time(party: RelyingParty) -> None:
    await consented_code(party)
    for _ in range(2):
        page = await party.authorize(prompt="consent")
        assert "/u/consent" in str(page.url)
        await party.browser.submit(button=ALLOW)
        assert "code" in party.landed


async def test_whoever_does_not_consent_sends_the_client_away_and_is_asked_again(party: RelyingParty) -> None:
    await party.authorize()
    await party.log_in()
    await party.browser.submit(button=DENY)
    assert party.landed["error"] == "access_denied"
    assert "code" not in party.landed
    assert (await party.silent())["error"] == "consent_required"


async def test_consent_by_a_form_of_another_site_or_by_get_is_none(party: RelyingParty) -> None:
    await party.authorize()
    page = await party.log_in()
    [form] = [form for form in party.browser.forms() if ALLOW in form.buttons]
    action = str(page.url.join(form.action))
    data = {**form.fields, "decision": "allow"}
    foreign = await party.http.post(action, data=data, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    forged = await party.http.post(
        action, data={**data, "form_token": "x"}, headers={"Origin": party.issuer[:-1]}
    )
    assert forged.status_code == 403
    shown = await party.http.get(action, params=data)
    assert shown.status_code == 200
    assert (await party.silent())["error"] == "consent_required"


async def test_a_scope_that_grew_since_is_asked_for(opened: Installation, party: RelyingParty) -> None:
    await consented_code(party, scope="openid read:invoices")
    page = await party.authorize(scope="openid read:invoices write:invoices")
    assert "/u/consent" in str(page.url)
    await party.browser.submit(button=ALLOW)
    assert "code" in await party.silent(scope="openid read:invoices write:invoices")
