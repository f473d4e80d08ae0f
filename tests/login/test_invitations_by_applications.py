"""An invitation that leads to an application, which hands it on to /authorize."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from entrypoints.demo_content import Demo
from tests.login.invited import ACCEPT, DECLINE, PASSWORD, application, house, verified
from tests.mailbox import Mailed, mailed
from tests.organizations.people import new_address, signed_in
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("invited")) as made:
        yield made


async def test_the_letter_leads_to_the_application_which_hands_it_on(mail: Mailed) -> None:
    home, email = await house(mail, "through"), new_address()
    client_id = mail.tenant().clients["web"].client_id
    manager = await mail.installation.manager("acme")
    start = "https://app.acme.example/start"
    await manager.patch(f"/clients/{client_id}", {"initiate_login_uri": start})
    try:
        made = await home.invite_by_api(email, user_metadata={"desk": "4"})
        link = await home.link(email)
    finally:
        await manager.patch(f"/clients/{client_id}", {"initiate_login_uri": None})
    assert link.startswith(f"{start}?")
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert (given["organization"], given["organization_name"]) == (home.id, "through")
    assert given["invitation"] not in (made["id"], made["ticket_id"])
    async with application(mail, email) as party:
        signup = await party.authorize(invitation=given["invitation"], organization=home.id)
        assert "to accept the invitation to <bdi>Through</bdi>" in signup.text
        await party.browser.submit({"name": "New", "password": PASSWORD})
        answer = await party.redeem(party.landed["code"])
        assert answer.claims["org_id"] == home.id
    assert (await home.roles(email), await verified(mail, email)) == (["member"], [True])
    [user] = await (await mail.installation.manager("acme")).get("/users-by-email", email=email)
    assert user["user_metadata"] == {"desk": "4"}
    stored = await mail.rows("acme", "SELECT parameters FROM authorization_requests")
    assert given["invitation"] not in str([tuple(row) for row in stored])


async def test_an_application_s_request_asks_who_is_signed_in_and_goes_on(mail: Mailed) -> None:
    home = await house(mail, "asked")
    person = await signed_in(mail.installation)
    invitation = await home.invite(person.email)
    asked = {"invitation": invitation["id"], "organization": home.id}
    async with application(mail, person.email, person.password) as party:
        await party.sign_in()
        assert (await party.silent(**asked))["error"] == "interaction_required"
        question = await party.authorize(**asked)
        assert "You are invited to <bdi>Asked</bdi>" in question.text
        assert await home.roles(person.email) == []
        await party.browser.submit(button=ACCEPT)
        answer = await party.redeem(party.landed["code"])
        assert answer.claims["org_id"] == home.id
        await party.authorize(**asked)
        assert party.landed["error"] == "invalid_request"  # used
        assert (await party.silent(organization=home.id)).keys() >= {"code"}


async def test_a_pushed_request_brings_its_invitation(mail: Mailed) -> None:
    home, email = await house(mail, "pushed"), new_address()
    await home.invite(email)
    secret = (await home.link(email)).rpartition("=")[2]
    async with application(mail, email) as party:
        assert (await party.silent(invitation=secret, organization=home.id))["error"] == "login_required"
        asked = parse_qs(urlsplit(party.authorize_url(invitation=secret, organization=home.id)).query)
        form = {name: values[0] for name, values in asked.items()}
        form["client_secret"] = party.client.client_secret or ""
        pushed = (await party.http.post(f"{party.issuer}oauth/par", data=form)).json()
        by_reference = {"client_id": party.client.client_id, "request_uri": pushed["request_uri"]}
        await party.browser.open(f"{party.issuer}authorize", **by_reference)
        await party.browser.submit({"password": PASSWORD})
        answer = await party.redeem(party.landed["code"])
        assert answer.claims["org_id"] == home.id
        await party.browser.open(f"{party.issuer}authorize", **by_reference)
        assert party.browser.landed is None or "error" in party.landed
    assert await home.roles(email) == ["member"]


async def test_no_is_told_to_the_application(mail: Mailed) -> None:
    home = await house(mail, "refusing")
    person = await signed_in(mail.installation)
    invitation = await home.invite(person.email)
    async with application(mail, person.email, person.password) as party:
        await party.sign_in()
        await party.authorize(invitation=invitation["id"], organization=home.id)
        await party.browser.submit(button=DECLINE)
        assert party.landed["error"] == "access_denied"
    assert await home.roles(person.email) == []


async def test_what_is_wrong_with_an_invitation_is_one_error(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 82 and 89: of another organization, another tenant, changed, cancelled, expired by a
    second."""
    home, other = await house(mail, "right"), await house(mail, "wrong")
    person = await signed_in(mail.installation)
    invitation = await home.invite(person.email)
    gone = await home.invite(new_address())
    await home.owner.post("/organization/cancel-invitation", invitationId=gone["id"])

    async def error(party: RelyingParty, **asked: str | None) -> tuple[str, str]:
        await party.authorize(**asked)
        return party.landed["error"], party.landed["error_description"]

    wrong = ("invalid_request", "The invitation is not valid.")
    async with application(mail, person.email, person.password) as party:
        for changes in (
            {"organization": other.id},
            {"organization": None},
            {"organization": "org_unknown"},
            {"invitation": "unknown"},
            {"invitation": invitation["id"][:-1] + "-"},
            {"invitation": gone["id"]},
        ):
            asked: dict[str, str | None] = {"invitation": invitation["id"], "organization": home.id}
            assert await error(party, **{**asked, **changes}) == wrong
            assert (await person.get("/organization/list")).body == []
        mail.installation.clock.advance(48 * 3600 + 1)
        mail.installation._tokens.clear()
        assert await error(party, invitation=invitation["id"], organization=home.id) == wrong
