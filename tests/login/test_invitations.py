"""The link of an invitation, from the letter to the membership: new people, known ones, wrong ones, late ones."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, Demo
from tenant_runtime.models import Organization
from tests.conftest import serving, settings_for
from tests.login.invited import (
    ACCEPT,
    DECLINE,
    PAGE,
    PASSWORD,
    SWITCH,
    WORDS,
    House,
    browser,
    house,
    verified,
)
from tests.mailbox import Mailed, link_in, mailed
from tests.migrations.behind import demo_of_an_earlier_release
from tests.organizations.people import new_address, signed_in

pytestmark = pytest.mark.anyio

LOGO = "https://cdn.example.com/logo.png"


@pytest.fixture(scope="module")
async def mail(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path_factory.mktemp("invited")) as made:
        yield made


async def test_somebody_new_makes_an_account_of_the_invited_address_and_is_in(mail: Mailed) -> None:
    home, email = await house(mail, "newcomers"), new_address()
    await home.owner.post("/organization/update", organizationId=home.id, data={"logo": LOGO})
    await home.invite(email, role="admin")
    link = await home.link(email)
    assert PAGE in link
    async with browser(mail) as page:
        shown = await page.open(link)
        assert "Ada Owner" in shown.text
        assert f'src="{LOGO}" alt="Newcomers"' in shown.text
        assert "You are invited to <bdi>Newcomers</bdi>" in shown.text
        signup = await page.submit(button=ACCEPT)
        assert "to accept the invitation to <bdi>Newcomers</bdi>" in signup.text
        assert f'src="{LOGO}" alt="Newcomers"' in signup.text
        done = await page.submit({"name": "Nina", "password": PASSWORD, "email": "other@acme.example"})
        assert "You are a member of Newcomers now." in done.text
        assert f'src="{LOGO}" alt="Newcomers"' in done.text
    assert await home.roles(email) == ["admin"]
    assert await verified(mail, email) == [True]
    assert await verified(mail, "other@acme.example") == []
    asked = [letter for letter in await mail.settle() if letter.recipients == (email,)]
    assert len(asked) == 1  # and none that asks for a proof of the address


async def test_who_has_an_account_logs_in_and_has_accepted(mail: Mailed) -> None:
    home = await house(mail, "known")
    person = await signed_in(mail.installation, verified=False)
    await home.invite(person.email)
    link = await home.link(person.email)
    async with browser(mail) as page:
        await page.open(link)
        asked = await page.submit(button=ACCEPT)
        assert "password" in str(asked.url)
        reset = await page.open(str(asked.url).replace("/u/login/password", "/u/reset-password/request"))
        assert "<title>Reset your password · Known</title>" in reset.text
        assert "<title>Check your mail · Known</title>" in (await page.submit()).text
        await page.open(str(asked.url))
        wrong = await page.submit({"password": "not this one, surely"})
        assert wrong.status_code == 400
        assert await home.roles(person.email) == []
        done = await page.submit({"password": person.password})
        assert "You are a member of Known now." in done.text
        again = await page.open(link)
        assert "You are a member already" in again.text
    assert await home.roles(person.email) == ["member"]
    assert await verified(mail, person.email) == [True]
    async with browser(mail) as page:
        used = await page.open(link)
        assert (used.status_code, "It was answered already." in used.text) == (403, True)


async def test_who_is_signed_in_accepts_with_one_button_and_is_in_the_organization_there(
    mail: Mailed,
) -> None:
    home = await house(mail, "oneclick")
    person = await signed_in(mail.installation)
    await home.invite(person.email)
    page = Browser(person.http, stops=(CALLBACK,))
    await page.open(await home.link(person.email))
    assert await home.roles(person.email) == []
    done = await page.submit(button=ACCEPT)
    assert "You are a member of Oneclick now." in done.text
    session = await person.session() or {}
    assert session["activeOrganizationId"] == home.id


async def test_who_is_signed_in_as_somebody_else_is_told_and_may_switch(mail: Mailed) -> None:
    home = await house(mail, "mistaken")
    person, other = await signed_in(mail.installation), await signed_in(mail.installation)
    await home.invite(person.email)
    page = Browser(other.http, stops=(CALLBACK,))
    shown = await page.open(await home.link(person.email))
    assert f"You are signed in as <bdi>{other.email}</bdi>" in shown.text
    forced = await page.submit({"decision": "accept"})
    assert "password" in str(forced.url)  # of the invited one
    assert await home.roles(other.email) == []
    await page.open(await home.link(person.email))
    await page.submit(button=SWITCH)
    done = await page.submit({"password": person.password})
    assert "You are a member of Mistaken now." in done.text
    assert (await home.roles(person.email), await home.roles(other.email)) == (["member"], [])


async def test_who_logs_in_as_somebody_else_on_the_way_is_told_so(mail: Mailed) -> None:
    home = await house(mail, "astray")
    other, email = await signed_in(mail.installation), new_address()
    invitation = await home.invite(email)
    async with browser(mail) as page:
        await page.open(f"{mail.tenant().issuer}{PAGE}?ticket={invitation['id']}")
        await page.submit(button=ACCEPT)
        await page.submit({"email": other.email})
        told = await page.submit({"password": other.password})
        assert f"You are signed in as <bdi>{other.email}</bdi>" in told.text
    assert (await home.roles(other.email), await home.roles(email)) == ([], [])


async def test_a_link_that_did_not_come_by_mail_proves_no_address(mail: Mailed) -> None:
    home, email = await house(mail, "byhand"), new_address()
    made = await home.invite_by_api(email, send_invitation_email=False)
    assert made["invitation_url"].endswith(made["ticket_id"])
    async with browser(mail) as page:
        shown = await page.open(made["invitation_url"])
        assert [button[1] for button in page.forms()[0].buttons] == ["accept"]  # nobody else's to decline
        identifier = await page.submit(button=ACCEPT)
        assert email in identifier.text
        await page.open(str(identifier.url).replace("login/identifier", "signup"))
        blocked = await page.submit({"password": PASSWORD})
        assert "prove that" in blocked.text
        assert (await home.roles(email), await verified(mail, email)) == ([], [False])
        sent = await page.submit(button=("decision", "letter"))
        assert "A mail is on its way" in sent.text
        assert shown.status_code == 200
        [*_, letter] = [one for one in await mail.settle() if one.recipients == (email,)]
        assert ("decision", "again") in page.forms()[0].buttons
        too_early = await page.submit(button=("decision", "again"))
        assert "prove that" in too_early.text
        here = page.response
        await page.open(link_in(letter))
        await page.submit()
        page.response = here  # the other window
        await page.submit(button=("decision", "again"))
        done = await page.submit(button=ACCEPT)
        assert "You are a member of Byhand now." in done.text
    assert await home.roles(email) == ["member"]


async def test_looking_at_the_link_accepts_nothing_and_spoils_nothing(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 104."""
    home = await house(mail, "scanners")
    person = await signed_in(mail.installation)
    await home.invite(person.email)
    link = await home.link(person.email)
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        assert (await person.http.request(method, link)).status_code in (200, 204, 404, 405)
    assert await home.roles(person.email) == []
    fields = {"decision": "accept", "state": link.rpartition("=")[2], "form_token": "x" * 43}
    address = link.partition("?")[0]
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": mail.tenant().issuer.rstrip("/")}):
        assert (await person.http.post(address, data=fields, headers=headers)).status_code == 403
    assert await home.roles(person.email) == []
    page = Browser(person.http, stops=(CALLBACK,))
    await page.open(link)
    assert "now" in (await page.submit(button=ACCEPT)).text


async def test_who_reads_the_mail_declines_without_signing_in(mail: Mailed) -> None:
    home, email = await house(mail, "declining"), new_address()
    await home.invite(email)
    link = await home.link(email)
    async with browser(mail) as page:
        await page.open(link)
        declined = await page.submit(button=DECLINE)
        assert "You are not a member of Declining." in declined.text
        assert (await page.open(link)).status_code == 403
    listed = (await home.owner.get("/organization/list-invitations", organizationId=home.id)).body
    assert [one["status"] for one in listed] == ["rejected"]
    types = [row[0] for row in await mail.rows("acme", "SELECT type FROM log_events")]
    assert "organization_invitation_rejected" in types


async def test_what_cannot_be_answered_says_why(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 89."""
    home = await house(mail, "toolate")
    cancelled, late = new_address(), new_address()
    invitation = await home.invite(cancelled)
    await home.invite(late)
    links = {email: await home.link(email) for email in (cancelled, late)}
    await home.owner.post("/organization/cancel-invitation", invitationId=invitation["id"])
    async with browser(mail) as page:
        said = await page.open(links[cancelled])
        assert (said.status_code, "It was taken back." in said.text) == (403, True)
        for ticket in ("", "x", "x" * 5000, links[late].rpartition("=")[2][:-1] + "-"):
            unknown = await page.open(f"{mail.tenant().issuer}{PAGE}", ticket=ticket)
            assert (unknown.status_code, "there is no such invitation" in unknown.text) == (403, True)
        elsewhere = await page.open(links[late].replace("acme", "globex"))
        assert elsewhere.status_code == 403
        shown = await page.open(links[late])
        assert shown.status_code == 200
        mail.installation.clock.advance(48 * 3600 + 1)
        mail.installation._tokens.clear()
        late_answer = await page.submit(button=ACCEPT)
        assert (late_answer.status_code, "It has expired." in late_answer.text) == (403, True)


async def test_a_full_organization_says_so_and_the_invitation_waits(mail: Mailed) -> None:
    home = await house(mail, "full")
    person = await signed_in(mail.installation)
    await home.invite(person.email)
    manager = await mail.installation.manager("acme")
    await manager.patch("/tenants/organizations", {"membership_limit": 1})
    page = Browser(person.http, stops=(CALLBACK,))
    try:
        await page.open(await home.link(person.email))
        refused = await page.submit(button=ACCEPT)
        assert (refused.status_code, "There is no place left" in refused.text) == (403, True)
    finally:
        await manager.patch("/tenants/organizations", {"membership_limit": 100})
    assert "now" in (await page.submit(button=ACCEPT)).text


async def test_names_in_an_invitation_are_text(mail: Mailed) -> None:
    evil = "<script>alert(1)</script>{{7*7}}{0}%s\u202e"
    owner, email = await signed_in(mail.installation, name=f"Eve {evil}"), new_address()
    made = await owner.post("/organization/create", name=f"Org {evil}", slug="evil-names")
    home = House(mail, owner, made.body["id"], "")
    await home.invite(email)
    [letter] = [one for one in await mail.settle() if one.recipients == (email,)]
    assert "<script>" not in letter.html
    assert "\u202e" not in letter.message["Subject"]
    async with browser(mail) as page:
        for _ in range(2):
            shown = await (page.submit(button=ACCEPT) if page.response else page.open(link_in(letter)))
            assert shown.status_code == 200
            assert "<script>alert" not in shown.text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}{0}%s" in shown.text


async def test_a_sent_again_invitation_leaves_the_first_letter_good(mail: Mailed) -> None:
    home, email = await house(mail, "twice"), new_address()
    await home.invite(email)
    first = await home.link(email)
    await home.invite(email, resend=True)
    assert await home.link(email) == first


async def test_the_letter_is_german_where_the_reader_is(mail: Mailed) -> None:
    home, email = await house(mail, "deutsch"), new_address()
    await mail.set(enabled_locales=["de", "en"])
    try:
        await home.invite(email)
        [letter] = [one for one in await mail.settle() if one.recipients == (email,)]
        assert letter.message["Subject"] == "Ada Owner lädt Sie zu Deutsch ein"
        assert "Einladung ansehen" in letter.text
        async with browser(mail) as page:
            shown = await page.open(link_in(letter))
            assert "Sie sind zu <bdi>Deutsch</bdi> eingeladen" in shown.text
    finally:
        await mail.set(enabled_locales=["en"])


async def test_the_tenant_says_it_in_its_own_words_and_where_it_ends(mail: Mailed) -> None:
    home = await house(mail, "worded")
    person = await signed_in(mail.installation)
    manager = await mail.installation.manager("acme")
    words = {
        "title": "Join ${organizationName}",
        "description": "${inviter} waits.",
        "buttonText": "Let me in",
    }
    assert await manager.status("PUT", WORDS, {"accept-invitation": words}) == 200
    template = {"template": "user_invitation", "from": "", "syntax": "liquid", "enabled": True}
    await manager.post(
        "/email-templates", {**template, "subject": "x", "body": "<p>{{ url }}</p>", "resultUrl": CALLBACK}
    )
    try:
        await home.invite(person.email)
        page = Browser(person.http, stops=(CALLBACK,))
        shown = await page.open(await home.link(person.email))
        for said in ("Join <bdi>Worded</bdi>", "<bdi>Ada Owner</bdi> waits.", "Let me in"):
            assert said in shown.text
        await page.submit(button=ACCEPT)
        assert page.parameters()["success"] == "true"
    finally:
        await manager.status("PUT", WORDS, {})
        await manager.patch("/email-templates/user_invitation", {"resultUrl": None, "enabled": False})


async def test_a_suspended_organization_takes_nobody(mail: Mailed) -> None:
    home = await house(mail, "paused")
    person = await signed_in(mail.installation)
    invitation = await home.invite(person.email)
    page = Browser(person.http, stops=(CALLBACK,))
    await page.open(await home.link(person.email))
    await suspend(mail, home.id, at=1)
    refused = await page.submit(button=ACCEPT)
    assert (refused.status_code, "This organization is suspended." in refused.text) == (403, True)
    answer = await person.post("/organization/accept-invitation", invitationId=invitation["id"])
    assert (answer.status, answer.code) == (403, "ORGANIZATION_IS_SUSPENDED")
    await suspend(mail, home.id, at=None)
    assert "now" in (await page.submit(button=ACCEPT)).text


async def suspend(mail: Mailed, organization_id: str, *, at: int | None) -> None:
    tenant = await mail.installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    table = Organization.__table__
    statement = update(table).where(table.c.id == organization_id).values(suspended_at=at)
    await tenant.database.alone(lambda connection: connection.execute(statement).rowcount, converge=True)


async def test_an_invitation_makes_accounts_where_others_may_not(mail: Mailed) -> None:
    home, email = await house(mail, "closed"), new_address()
    await mail.set(signup_enabled=False)
    try:
        await home.invite(email)
        async with browser(mail) as page:
            await page.open(await home.link(email))
            await page.submit(button=ACCEPT)
            done = await page.submit({"password": PASSWORD})
            assert "You are a member of Closed now." in done.text
        invitation = await home.invite("seen@acme.example")
        async with browser(mail) as page:  # by whoever invites, who makes no account of others' addresses
            await page.open(f"{mail.tenant().issuer}{PAGE}?ticket={invitation['id']}")
            identifier = await page.submit(button=ACCEPT)
            assert "signup" not in identifier.text
            closed = await page.open(str(identifier.url).replace("login/identifier", "signup"))
            assert "login/identifier" in str(closed.url)
    finally:
        await mail.set(signup_enabled=True)


async def test_a_tenant_that_waits_for_its_migration_has_no_invitations(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    data = demo_of_an_earlier_release(golden, tmp_path / "data", version="0005", held=True)
    async with serving(settings_for(data), golden[1], None) as behind:
        issuer, party = behind.tenant("acme").issuer, behind.relying_party("acme", "web")
        page = await behind.http.get(f"{issuer}{PAGE}", params={"ticket": "x"})
        assert (page.status_code, "there is no such invitation" in page.text) == (403, True)
        await party.authorize(invitation="x", organization="org_x")
        assert party.landed["error"] == "invalid_request"
        organization = behind.tenant("acme").organizations[0].id
        await behind.manager("acme")
        for path in ("", "/inv"):
            asked = f"{issuer}api/v2/organizations/{organization}/invitations{path}"
            headers = {"Authorization": f"Bearer {behind._tokens['acme']}"}
            assert (await behind.http.get(asked, headers=headers)).status_code == 503
