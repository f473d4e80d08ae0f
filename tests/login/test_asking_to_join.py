"""Somebody who has signed in, is no member of the organization they are sent to, and may ask to be let in."""

import httpx
import pytest

from entrypoints.browser import forms_of
from tenant_runtime.management.endings import end_membership
from tests.login.test_organization_policies import asks, owns
from tests.login.world import Visitor, World, answer_of, claims_of

pytestmark = pytest.mark.anyio

ASK, LOOK, BACK = ("decision", "ask"), ("decision", "look"), ("decision", "cancel")
PAGE = "/u/organization/join"
STRANGER = "The user is not a member of this organization."
REQUESTS = "SELECT user_id, status FROM join_requests"


class Newcomer:
    """Ada, whose address is in a domain of North."""

    def __init__(self, world: World, visitor: Visitor, user: str, organization: str) -> None:
        self.world, self.visitor, self.user, self.organization = world, visitor, user, organization

    @classmethod
    async def of(cls, world: World, joining: str) -> "Newcomer":
        id = await world.acme.make_user()
        organization = await world.acme.make_organization("north", display_name="North & Co")
        await owns(world.acme, organization)
        await asks(world.acme, organization, domain_joining=joining)
        return cls(world, world.visitor(await world.acme.make_client()), id, organization)

    async def sent(self, **changes: str) -> httpx.Response:
        return await self.visitor.open(**{"organization": self.organization, **changes})

    async def signs_in(self) -> httpx.Response:
        await self.visitor.log_in(organization=self.organization)
        page = self.visitor.browser.response
        assert page is not None
        return page

    async def presses(self, button: tuple[str, str]) -> httpx.Response:
        return await self.visitor.browser.submit(button=button)

    async def requests(self) -> list[tuple[str, str]]:
        return [(row[0], row[1]) for row in await self.world.acme.run(REQUESTS)]

    async def decided(self, status: str) -> None:
        await self.world.acme.run("UPDATE join_requests SET status = :s", s=status)

    async def becomes_a_member(self) -> None:
        await self.world.acme.run(
            "INSERT INTO memberships (id, organization_id, user_id, created_at) VALUES ('mem_1', :o, :u, 1)",
            o=self.organization, u=self.user,
        )  # fmt: skip
        await self.decided("approved")

    async def refused(self, **changes: str) -> dict[str, str]:
        return answer_of(await self.visitor.authorize(**{"organization": self.organization, **changes}))


async def test_who_is_no_member_asks_on_a_page_and_sees_that_the_request_waits(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    page = await ada.signs_in()
    assert (page.status_code, page.url.path) == (200, PAGE)
    assert "You are not a member of <bdi>North &amp; Co</bdi>" in page.text
    assert await ada.requests() == [], "nobody has asked for anything yet"
    waiting = await ada.presses(ASK)
    assert (waiting.status_code, waiting.url.path) == (200, PAGE)
    assert "<bdi>North &amp; Co</bdi> was asked to let you in" in waiting.text
    assert await ada.requests() == [(ada.user, "pending")]
    again = await ada.sent()
    assert "was asked to let you in" in again.text
    assert 'value="ask"' not in again.text
    [event] = await world.acme.run(
        "SELECT user_id, organization_id FROM log_events WHERE type = 'organization_join_requested'"
    )
    assert tuple(event) == (ada.user, ada.organization)


async def test_a_form_sent_twice_asks_once(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    page = await ada.signs_in()
    await ada.presses(ASK)
    ada.visitor.browser.response = page
    assert "was asked to let you in" in (await ada.presses(ASK)).text
    assert await ada.requests() == [(ada.user, "pending")]


async def test_a_silent_request_is_refused_as_ever_and_asks_nobody(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    await ada.signs_in()
    for joining in ("request", "approval"):
        await asks(world.acme, ada.organization, domain_joining=joining)
        answer = await ada.refused(prompt="none")
        assert (answer["error"], answer["error_description"]) == ("access_denied", STRANGER)
    assert await ada.requests() == []


async def test_who_would_rather_not_ask_goes_back_and_the_application_is_told_why(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    await ada.signs_in()
    await ada.presses(BACK)
    told = ada.visitor.browser.parameters()
    assert (told["error"], told["error_description"]) == ("access_denied", STRANGER)
    assert await ada.requests() == []


async def test_once_they_are_let_in_the_page_and_the_next_sign_in_lead_on(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    await ada.signs_in()
    await ada.presses(ASK)
    assert (await ada.presses(LOOK)).url.path == PAGE, "nobody has decided"
    await ada.becomes_a_member()
    await ada.presses(LOOK)
    tokens = (await ada.visitor.redeem(ada.visitor.browser.parameters()["code"])).json()
    assert claims_of(tokens["id_token"])["org_id"] == ada.organization
    assert "code" in answer_of(await ada.visitor.authorize(organization=ada.organization))


async def test_who_has_no_organization_to_choose_from_may_ask_the_one_of_their_address(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    choosing = {"organization_usage": "require", "organization_require_behavior": "post_login_prompt"}
    ada.visitor = world.visitor(await world.acme.make_client(**choosing))
    await ada.visitor.log_in()
    page = ada.visitor.browser.response
    assert page is not None
    assert "Ask to join <bdi>North &amp; Co</bdi>" in page.text
    state = page.url.params["state"]
    await ada.visitor.browser.open(PAGE, state=state)
    assert "was asked to let you in" in (await ada.presses(ASK)).text
    assert await ada.requests() == [(ada.user, "pending")]
    await world.acme.run("UPDATE users SET email_verified = false")
    assert "North" not in (await ada.visitor.browser.open("/u/organization", state=state)).text
    await world.acme.run("UPDATE users SET email_verified = true")
    await ada.becomes_a_member()
    await ada.visitor.browser.open("/authorize/resume", state=state)
    tokens = (await ada.visitor.redeem(ada.visitor.browser.parameters()["code"])).json()
    assert claims_of(tokens["id_token"])["org_id"] == ada.organization


async def test_who_was_turned_down_is_told_and_may_ask_again_as_often_as_elsewhere(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    await ada.signs_in()
    for _ in range(3):
        assert "was asked to let you in" in (await ada.presses(ASK)).text
        await ada.decided("rejected")
        page = await ada.sent()
        assert "<bdi>North &amp; Co</bdi> did not let you in" in page.text
    full = await ada.presses(ASK)
    assert (full.status_code, int(full.headers["retry-after"]) > 0) == (429, True)
    assert "Too many attempts." in full.text
    assert [status for _, status in await ada.requests()] == ["rejected"] * 3


async def test_where_signing_in_asks_by_itself_it_asks_once_and_the_page_says_so(world: World) -> None:
    ada = await Newcomer.of(world, "approval")
    page = await ada.signs_in()
    assert "was asked to let you in" in page.text
    assert "was asked to let you in" in (await ada.sent()).text
    assert await ada.requests() == [(ada.user, "pending")]
    await ada.decided("rejected")
    assert "did not let you in" in (await ada.sent()).text
    assert await ada.requests() == [(ada.user, "rejected")]


async def test_who_was_put_out_of_an_open_organization_may_ask(world: World) -> None:
    ada = await Newcomer.of(world, "automatic")
    assert "code" in await ada.visitor.log_in(organization=ada.organization)
    key = world.acme.tenant.data_key
    await world.acme.tenant.database.write(end_membership, key, ada.organization, ada.user, world.acme.ms)
    page = await ada.sent()
    assert (page.url.path, "You are not a member" in page.text) == (PAGE, True)
    await ada.presses(ASK)
    assert (ada.user, "pending") in await ada.requests()


NOT_OPEN = (
    ("ada@elsewhere.example", True, "request"),
    ("ada@sub.example.com", True, "approval"),
    ("ada@example.com", False, "request"),
    ("ada@example.com", False, "automatic"),
    ("ada@example.com", False, "approval"),
    ("ada@example.com", True, "off"),
)


async def test_to_whom_it_is_not_open_the_answer_is_that_for_any_organization(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    other = await world.acme.make_organization("other")
    state = (await ada.signs_in()).url.params["state"]

    async def is_told_nothing() -> None:
        for organization in (ada.organization, other):
            answer = await ada.refused(organization=organization)
            assert (answer["error"], answer["error_description"]) == ("access_denied", STRANGER)
        page = await ada.visitor.http.get(PAGE, params={"state": state})
        assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/authorize/resume")

    for email, is_verified, joining in NOT_OPEN:
        await world.acme.run("UPDATE users SET email = :e, email_verified = :v", e=email, v=is_verified)
        await asks(world.acme, ada.organization, domain_joining=joining)
        await is_told_nothing()
    await world.acme.run("UPDATE users SET email = 'ada@example.com', email_verified = true")
    await asks(world.acme, ada.organization, domain_joining="request")
    await world.acme.run("UPDATE organizations SET suspended_at = 1")
    await is_told_nothing()
    assert await ada.requests() == []


async def test_nobody_asks_by_a_form_of_another_site_or_of_another_browser(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    page = await ada.signs_in()
    state, (form, *_) = page.url.params["state"], forms_of(page.text)
    whole = {**form.fields, "decision": "ask"}
    foreign = {"Origin": "https://evil.example"}
    assert (await ada.visitor.http.post(PAGE, data=whole, headers=foreign)).status_code == 403
    assert (await ada.visitor.http.post(PAGE, data={**whole, "form_token": "x"})).status_code == 403
    elsewhere = world.visitor(ada.visitor.client_id)
    assert (await elsewhere.http.post(PAGE, data=whole)).status_code == 403
    assert (await elsewhere.http.get(PAGE, params={"state": state})).status_code == 400
    assert await ada.requests() == []


async def test_who_has_signed_out_since_asks_for_nothing(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    await ada.signs_in()
    await world.acme.run("DELETE FROM sessions")
    assert (await ada.presses(ASK)).url.path == "/u/login/identifier"
    assert await ada.requests() == []


async def test_the_page_speaks_german(world: World) -> None:
    ada = await Newcomer.of(world, "request")
    await world.acme.set("enabled_locales", ["de", "en"])
    assert "Sie sind kein Mitglied von <bdi>North &amp; Co</bdi>" in (await ada.signs_in()).text
    assert "wurde gebeten, Sie aufzunehmen" in (await ada.presses(ASK)).text
