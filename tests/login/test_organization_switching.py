"""Switching organizations without signing in again (`specs/tenancy.md` section 7; bad inputs O)."""

import asyncio

import pytest

from core.ids import new_id
from tests.login.world import API, Visitor, World, answer_of, claims_of

pytestmark = pytest.mark.anyio


async def member(world: World, **client: object) -> tuple[Visitor, str, str]:
    """A person who is signed in and belongs to two organizations."""
    user = await world.acme.make_user()
    one = await world.acme.make_organization("one", user)
    two = await world.acme.make_organization("two", user)
    visitor = world.visitor(await world.acme.make_client(**client))
    await visitor.log_in()
    return visitor, one, two


async def test_a_member_switches_silently_by_id_and_by_name(world: World) -> None:
    visitor, one, two = await member(world)
    for asked, meant in ((one, one), (two, two), ("one", one), ("TWO", two)):
        answer = await visitor.silent(organization=asked, audience=API)
        tokens = (await visitor.redeem(answer["code"])).json()
        assert claims_of(tokens["id_token"])["org_id"] == meant
        assert claims_of(tokens["access_token"])["org_id"] == meant
    assert "code" in answer_of(await visitor.authorize(organization=one))


async def test_a_silent_switch_stores_no_request(world: World) -> None:
    visitor, one, _ = await member(world)
    before = await world.acme.run("SELECT count(*) FROM authorization_requests")
    await visitor.silent(organization=one)
    assert await world.acme.run("SELECT count(*) FROM authorization_requests") == before
    (event,) = await world.acme.run("SELECT organization_id, client_id FROM log_events WHERE type = 'ssa'")
    assert tuple(event) == (one, visitor.client_id)


async def test_who_is_no_member_is_denied_and_never_sent_to_log_in(world: World) -> None:
    visitor, _, _ = await member(world)
    stranger = await world.acme.make_organization("three")
    asleep = await world.acme.make_organization("four", suspended_at=1)
    user = (await world.acme.run("SELECT user_id FROM users"))[0][0]
    mine = await world.acme.make_organization("five", user, suspended_at=1)
    for organization in (stranger, asleep, mine, "three"):
        for changes in ({"prompt": "none"}, {}):
            answer = answer_of(await visitor.authorize(organization=organization, **changes))
            assert answer["error"] == "access_denied", organization
            assert "code" not in answer
    first = await visitor.silent(organization=stranger)
    assert (await visitor.silent(organization=asleep))["error_description"] == first["error_description"]


async def test_unknown_deleted_and_another_tenants_organization_are_one_answer(world: World) -> None:
    visitor, _, _ = await member(world)
    theirs = await world.globex.make_organization("theirs")
    gone = await world.acme.make_organization("gone")
    await world.acme.run("DELETE FROM organizations WHERE id = :id", id=gone)
    answers = [
        await visitor.silent(organization=value)
        for value in (theirs, gone, new_id("org"), "theirs", "gone", "no such name", "org_", "' OR 1=1 --")
    ]
    assert {answer["error"] for answer in answers} == {"invalid_request"}
    assert len({answer["error_description"] for answer in answers}) == 1


async def test_an_empty_organization_is_a_mistake_and_no_login_without(world: World) -> None:
    visitor, _, _ = await member(world)
    assert (await visitor.silent(organization=""))["error"] == "invalid_request"
    assert (await visitor.silent(organization=" "))["error"] == "invalid_request"


async def test_names_are_refused_where_the_tenant_allows_ids_only(world: World) -> None:
    visitor, one, _ = await member(world)
    await world.acme.set("allow_organization_name_in_authentication_api", False)
    assert (await visitor.silent(organization="one"))["error"] == "invalid_request"
    assert "code" in await visitor.silent(organization=one)


async def test_without_a_session_nothing_is_told_of_any_organization(world: World) -> None:
    _, one, _ = await member(world)
    stranger = world.visitor(await world.acme.make_client())
    for organization in (one, "one", "no-such-name", new_id("org")):
        assert (await stranger.silent(organization=organization))["error"] == "login_required"
        assert (
            (await stranger.authorize(organization=organization)).headers["location"].startswith("/u/login/")
        )


async def test_a_failed_attempt_changes_nothing(world: World) -> None:
    visitor, _, _ = await member(world)
    stranger = await world.acme.make_organization("three")
    await world.services.audit.flush()
    before = await world.acme.run("SELECT * FROM sessions"), dict(visitor.http.cookies)
    world.clock.move(120)
    response = await visitor.authorize(prompt="none", organization=stranger)
    assert "set-cookie" not in response.headers
    assert (await world.acme.run("SELECT * FROM sessions"), dict(visitor.http.cookies)) == before
    assert (
        await world.acme.run("SELECT * FROM authorization_codes WHERE organization_id = :o", o=stranger) == []
    )


async def test_parallel_switches_do_not_disturb_each_other(world: World) -> None:
    visitor, one, two = await member(world)
    asked = [one, two] * 10
    answers = await asyncio.gather(*(visitor.silent(organization=each) for each in asked))
    for organization, answer in zip(asked, answers, strict=True):
        tokens = (await visitor.redeem(answer["code"])).json()
        assert claims_of(tokens["id_token"])["org_id"] == organization


async def test_a_membership_counts_at_the_moment_of_issue(world: World) -> None:
    visitor, one, two = await member(world)
    assert "code" in await visitor.silent(organization=one)
    await world.acme.run("DELETE FROM memberships WHERE organization_id = :o", o=one)
    assert (await visitor.silent(organization=one))["error"] == "access_denied"
    assert "code" in await visitor.silent(organization=two)


async def test_an_organization_renamed_to_a_freed_name_is_found_by_what_it_is_called_now(
    world: World,
) -> None:
    visitor, one, two = await member(world)
    await world.acme.run("UPDATE organizations SET name = 'old-one' WHERE id = :o", o=one)
    await world.acme.run("UPDATE organizations SET name = 'one' WHERE id = :o", o=two)
    answer = await visitor.silent(organization="one")
    assert claims_of((await visitor.redeem(answer["code"])).json()["id_token"])["org_id"] == two


async def test_the_organization_is_asked_after_the_login(world: World) -> None:
    visitor, one, _ = await member(world)
    fresh = world.visitor(visitor.client_id)
    answer = await fresh.log_in(organization="one")
    assert claims_of((await fresh.redeem(answer["code"])).json()["id_token"])["org_id"] == one
    await world.acme.make_organization("three")
    assert (await world.visitor(visitor.client_id).log_in(organization="three"))["error"] == "access_denied"
    unknown = await world.visitor(visitor.client_id).log_in(organization="nothing")
    assert unknown["error"] == "invalid_request"


async def test_nothing_later_changes_the_organization_of_a_request(world: World) -> None:
    visitor, one, two = await member(world)
    page = await visitor.open(organization=one, prompt="login")
    state = page.url.params["state"]
    again = await visitor.http.get("/authorize/resume", params={"state": state, "organization": two})
    assert again.headers["location"].startswith("/u/login/identifier")
    await visitor.browser.submit({"email": "ada@example.com", "organization": two})
    await visitor.browser.submit({"password": "correct horse", "organization": two})
    tokens = (await visitor.redeem(visitor.browser.parameters()["code"])).json()
    assert claims_of(tokens["id_token"])["org_id"] == one


async def test_a_client_may_deny_or_require_organizations(world: World) -> None:
    _, one, _ = await member(world)
    denying = world.visitor(await world.acme.make_client(organization_usage="deny"))
    requiring = world.visitor(await world.acme.make_client(organization_usage="require"))
    assert answer_of(await denying.authorize(organization=one))["error"] == "invalid_request"
    tokens = (await denying.redeem((await denying.log_in(audience=API))["code"])).json()
    assert not any("org_id" in claims_of(tokens[name]) for name in ("access_token", "id_token"))
    assert answer_of(await requiring.authorize())["error"] == "invalid_request"
    assert (await requiring.authorize(organization=one)).headers["location"].startswith("/u/login/")


@pytest.mark.parametrize("behavior", ["post_login_prompt", "pre_login_prompt"])
async def test_where_one_is_required_the_person_chooses(world: World, behavior: str) -> None:
    visitor, one, two = await member(
        world, organization_usage="require", organization_require_behavior=behavior
    )
    assert visitor.browser.response.url.path == "/u/organization"
    assert (await visitor.silent())["error"] == "interaction_required"
    assert "code" in await visitor.silent(organization=one)
    stranger = await world.acme.make_organization("three")
    for wrong in (stranger, "two", "", "org_x"):
        page = await visitor.browser.submit(button=("organization", wrong))
        assert page.status_code == 400
    await visitor.browser.submit(button=("organization", two))
    tokens = (await visitor.redeem(visitor.browser.parameters()["code"])).json()
    assert claims_of(tokens["id_token"])["org_id"] == two


@pytest.mark.parametrize("has_one", [True, False])
async def test_who_would_rather_not_choose_or_cannot_goes_back_to_the_application(
    world: World, has_one: bool
) -> None:
    user = await world.acme.make_user()
    for name in ("one", "two") if has_one else ():
        await world.acme.make_organization(name, user)
    behaviour = {"organization_usage": "require", "organization_require_behavior": "post_login_prompt"}
    visitor = world.visitor(await world.acme.make_client(**behaviour))
    await visitor.log_in()
    heading = "Choose an organization" if has_one else "No organization"
    assert f"<h1>{heading}</h1>" in visitor.browser.response.text
    await visitor.browser.submit(button=("decision", "cancel"))
    answer = visitor.browser.parameters()
    assert (answer["error"], "code" in answer) == ("access_denied", False)


async def test_the_only_organization_needs_no_choice_and_none_is_a_page(world: World) -> None:
    user = await world.acme.make_user()
    await world.acme.make_user("alone@example.com")
    only = await world.acme.make_organization("only", user)
    client = await world.acme.make_client(
        organization_usage="require", organization_require_behavior="post_login_prompt"
    )
    visitor, alone = world.visitor(client), world.visitor(client)
    answer = await visitor.log_in()
    assert claims_of((await visitor.redeem(answer["code"])).json()["id_token"])["org_id"] == only
    await alone.log_in("alone@example.com")
    assert "not a member of any organization" in alone.browser.response.text


async def test_a_choice_of_one_person_is_not_the_next_ones(world: World) -> None:
    visitor, _, _ = await member(
        world, organization_usage="require", organization_require_behavior="post_login_prompt"
    )
    await world.acme.make_user("bob@example.com")
    page = visitor.browser.response
    state = page.url.params["state"]
    await visitor.browser.open("/u/login/identifier", state=state)
    await visitor.browser.submit({"email": "bob@example.com"})
    await visitor.browser.submit({"password": "correct horse"})
    assert "not a member of any organization" in visitor.browser.response.text
