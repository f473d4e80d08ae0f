"""What an organization asks of a log-in, wherever something is issued for it (`specs/tenancy.md` section 7)."""

import json
from typing import Any

import pytest

from core.ids import digest, new_id
from tenant_runtime import models
from tenant_runtime.management.endings import end_membership
from tests.login.test_organization_connections import CLOSED, add_database, allow
from tests.login.world import API, Place, Visitor, World, answer_of, claims_of

pytestmark = pytest.mark.anyio

OLD = "The organization asks for a more recent log-in."
ONE_FACTOR = "The organization asks for a second factor."
FOREIGN = "The organization asks for a verified address in one of its domains."
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
CONFIDENTIAL = {
    "app_type": "regular_web",
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token", EXCHANGE],
}


async def asks(place: Place, organization: str, **settings: Any) -> None:
    await place.run("DELETE FROM organization_settings WHERE organization_id = :o", o=organization)
    await place.insert(
        models.OrganizationSetting, organization_id=organization, settings=settings, updated_at=place.ms
    )


async def owns(place: Place, organization: str, domain: str = "example.com") -> None:
    await place.insert(
        models.OrganizationDomain, id=new_id("dom"), organization_id=organization, domain=domain, status="verified",
        token="t", is_for_discovery=True, created_at=place.ms, updated_at=place.ms,
    )  # fmt: skip


async def identity(place: Place, user: str, connection: str) -> None:
    """Another account of the same person."""
    await place.insert(
        models.Identity, connection_id=connection, provider_user_id=new_id("acc"), user_id=user, provider="auth0",
        is_social=False, email="ada@example.com", profile_data={},
    )  # fmt: skip


async def with_secret(world: World) -> Visitor:
    visitor = world.visitor(await world.acme.make_client(**CONFIDENTIAL))
    await world.acme.insert(
        models.ClientSecret, id=new_id("sec"), client_id=visitor.client_id, digest=digest("s3cret"), sealed=b"",
        created_at=world.acme.ms,
    )  # fmt: skip
    return visitor


class Member:
    """A member with a session, tokens of the organization, and every way to use them."""

    def __init__(self, world: World, visitor: Visitor, user: str, organization: str) -> None:
        self.world, self.visitor, self.user, self.organization = world, visitor, user, organization
        self.tokens: dict[str, Any] = {}

    @classmethod
    async def of(cls, world: World) -> "Member":
        user = await world.acme.make_user()
        organization = await world.acme.make_organization("one", user)
        member = cls(world, await with_secret(world), user, organization)
        asked = {"scope": "openid offline_access", "audience": API, "organization": organization}
        landed = await member.visitor.log_in(**asked)
        redeemed = await member.visitor.redeem(landed["code"], client_secret="s3cret")
        assert redeemed.status_code == 200, redeemed.text
        member.tokens = redeemed.json()
        return member

    async def post(self, path: str, **form: str) -> dict[str, Any]:
        sent = {"client_id": self.visitor.client_id, "client_secret": "s3cret", **form}
        found: dict[str, Any] = (await self.visitor.http.post(path, data=sent)).json()
        return found

    async def refresh(self, **more: str) -> dict[str, Any]:
        token = self.tokens["refresh_token"]
        answer = await self.post("/oauth/token", grant_type="refresh_token", refresh_token=token, **more)
        if "refresh_token" in answer:
            self.tokens["refresh_token"] = answer["refresh_token"]
        return answer

    async def exchange(self, **more: str) -> dict[str, Any]:
        shown = {"subject_token": self.tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
        return await self.post("/oauth/token", grant_type=EXCHANGE, **shown, **more)

    async def is_active(self, kind: str = "access_token") -> bool:
        return bool((await self.post("/oauth/introspect", token=self.tokens[kind]))["active"])

    async def silent(self) -> dict[str, str]:
        return await self.visitor.silent(organization=self.organization)

    async def refused_everywhere(self, description: str, *, silently: str, at_token: str) -> None:
        silent = await self.silent()
        assert silent["error"] == silently
        for answer in (await self.refresh(), await self.exchange()):
            assert (answer["error"], answer["error_description"]) == (at_token, description)
        assert not await self.is_active()
        assert not await self.is_active("refresh_token")
        bearer = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        assert (await self.visitor.http.get("/userinfo", headers=bearer)).status_code == 401

    async def taken_everywhere(self) -> None:
        assert "code" in await self.silent()
        assert "access_token" in await self.refresh()
        assert "access_token" in await self.exchange()
        assert await self.is_active()
        assert await self.is_active("refresh_token")


async def test_a_log_in_is_too_old_everywhere_and_a_new_one_helps(world: World) -> None:
    member = await Member.of(world)
    await asks(world.acme, member.organization, session_max_age=600)
    await member.taken_everywhere()
    world.clock.move(600)
    await member.refused_everywhere(OLD, silently="interaction_required", at_token="invalid_grant")
    page = await member.visitor.open(organization=member.organization)
    assert page.url.path == "/u/login/identifier"
    await member.visitor.browser.submit({"email": "ada@example.com"})
    await member.visitor.browser.submit({"password": "correct horse"})
    assert "code" in member.visitor.browser.parameters()
    assert "code" in await member.silent()
    elsewhere = await world.acme.make_organization("two", member.user)
    assert "code" in await member.visitor.silent(organization=elsewhere)


async def test_who_is_refused_keeps_what_they_hold_elsewhere(world: World) -> None:
    member = await Member.of(world)
    other = await world.acme.make_organization("two", member.user)
    await asks(world.acme, member.organization, session_max_age=60)
    world.clock.move(61)
    assert (await member.refresh())["error"] == "invalid_grant"
    assert claims_of((await member.refresh(organization=other))["access_token"])["org_id"] == other
    switched = await member.refresh(organization=member.organization)
    assert (switched["error"], switched["error_description"]) == ("access_denied", OLD)


async def test_a_second_factor_is_asked_for_and_one_is_not_two(world: World) -> None:
    member = await Member.of(world)
    await asks(world.acme, member.organization, require_mfa=True)
    await member.refused_everywhere(ONE_FACTOR, silently="interaction_required", at_token="access_denied")
    asked = answer_of(await member.visitor.authorize(organization=member.organization))
    assert (asked["error"], asked["error_description"]) == ("access_denied", ONE_FACTOR)
    for amr, is_enough in (
        (["otp"], False),
        (["pwd", "kba"], False),
        (["pwd", "otp"], True),
        (["mfa"], True),
    ):
        await world.acme.run("UPDATE sessions SET amr = :a", a=json.dumps(amr))
        await world.acme.run("UPDATE refresh_families SET amr = :a", a=json.dumps(amr))
        assert ("code" in await member.silent()) is is_enough, amr
        assert await member.is_active() is is_enough, amr


async def test_an_address_in_a_domain_of_the_organization_is_asked_for(world: World) -> None:
    member = await Member.of(world)
    await asks(world.acme, member.organization, require_domain=True)
    await owns(world.acme, member.organization, "sub.example.com")
    await member.refused_everywhere(FOREIGN, silently="access_denied", at_token="access_denied")
    await owns(world.acme, member.organization)
    await member.taken_everywhere()
    await world.acme.run("UPDATE users SET email_verified = false")
    await member.refused_everywhere(FOREIGN, silently="access_denied", at_token="access_denied")
    await world.acme.run("UPDATE users SET email_verified = true, email = 'ada@example.com.evil'")
    assert (await member.silent())["error_description"] == FOREIGN


async def test_the_connection_of_this_log_in_counts_and_no_other_account_of_the_person(world: World) -> None:
    member = await Member.of(world)
    await add_database(world.acme)
    await identity(world.acme, member.user, "con_other")
    await allow(world.acme, member.organization, "con_other")
    await member.refused_everywhere(CLOSED, silently="interaction_required", at_token="invalid_grant")
    page = await member.visitor.open(organization=member.organization)
    assert page.url.path == "/u/login/identifier"
    await world.acme.run("UPDATE session_contexts SET connection_id = 'con_other'")
    assert "code" in await member.silent()
    await world.acme.run("UPDATE family_logins SET connection_id = 'con_other'")
    await member.taken_everywhere()


async def test_a_log_in_of_the_release_before_is_known_by_the_accounts_of_the_person(world: World) -> None:
    member = await Member.of(world)
    await add_database(world.acme)
    await allow(world.acme, member.organization, "con_other")
    await world.acme.run("DELETE FROM session_contexts")
    await world.acme.run("DELETE FROM family_logins")
    assert (await member.silent())["error_description"] == CLOSED
    await identity(world.acme, member.user, "con_other")
    await member.taken_everywhere()


async def test_what_changes_between_code_and_token_counts(world: World) -> None:
    member = await Member.of(world)
    code = (await member.silent())["code"]
    await asks(world.acme, member.organization, require_mfa=True)
    refused = (await member.visitor.redeem(code, client_secret="s3cret")).json()
    assert (refused["error"], refused["error_description"]) == ("invalid_grant", ONE_FACTOR)


async def test_who_has_just_logged_in_is_not_sent_to_log_in_for_ever(world: World) -> None:
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one", user)
    await add_database(world.acme)
    await world.acme.run("UPDATE connections SET enabled_for_all_clients = false WHERE id = 'con_other'")
    await identity(world.acme, user, "con_other")
    await allow(world.acme, organization, "con_other")
    visitor = world.visitor(await world.acme.make_client())
    answer = await visitor.log_in(organization=organization)
    assert (answer["error"], answer["error_description"]) == ("access_denied", CLOSED)


async def test_the_picker_leaves_out_what_no_log_in_opens_and_asks_for_one_where_it_helps(
    world: World,
) -> None:
    user = await world.acme.make_user()
    names = ("one", "two", "three")
    organizations = {name: await world.acme.make_organization(name, user) for name in names}
    behaviour = {"organization_usage": "require", "organization_require_behavior": "post_login_prompt"}
    visitor = world.visitor(await world.acme.make_client(**behaviour))
    await asks(world.acme, organizations["two"], require_mfa=True)
    await asks(world.acme, organizations["three"], session_max_age=60)
    await visitor.log_in()
    world.clock.move(61)
    page = await visitor.open()
    assert organizations["one"] in page.text
    assert organizations["two"] not in page.text
    await visitor.browser.submit({"organization": organizations["three"]})
    assert visitor.browser.response is not None
    assert visitor.browser.response.url.path == "/u/login/identifier"
    await visitor.browser.submit({"email": "ada@example.com"})
    await visitor.browser.submit({"password": "correct horse"})
    await visitor.browser.submit({"organization": organizations["three"]})
    tokens = (await visitor.redeem(visitor.browser.parameters()["code"])).json()
    assert claims_of(tokens["id_token"])["org_id"] == organizations["three"]


async def test_a_log_in_in_the_address_of_an_organization_makes_a_member(world: World) -> None:
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one")
    await owns(world.acme, organization)
    visitor = world.visitor(await world.acme.make_client())
    await visitor.log_in()
    await asks(world.acme, organization, domain_joining="off")
    assert answer_of(await visitor.authorize(organization=organization))["error"] == "access_denied"
    await asks(world.acme, organization, domain_joining="automatic", domain_joining_role="guest")
    assert "code" in await visitor.silent(organization=organization)
    assert [row[0] for row in await world.acme.run("SELECT user_id FROM memberships")] == [user]
    assert [row[0] for row in await world.acme.run("SELECT role FROM membership_organization_roles")] == [
        "guest"
    ]
    [event] = await world.acme.run(
        "SELECT user_id, organization_id FROM log_events WHERE type = 'organization_member_added'"
    )
    assert tuple(event) == (user, organization)


@pytest.mark.parametrize("by_connection", [False, True])
async def test_who_was_put_out_does_not_come_in_again_by_signing_in(
    world: World, by_connection: bool
) -> None:
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one")
    await owns(world.acme, organization)
    if by_connection:
        await allow(world.acme, organization, assign_membership_on_login=True)
    else:
        await asks(world.acme, organization, domain_joining="automatic")
    visitor = world.visitor(await world.acme.make_client())
    assert "code" in await visitor.log_in(organization=organization)
    await world.acme.tenant.database.write(
        end_membership, world.acme.tenant.data_key, organization, user, world.acme.ms
    )
    assert (await visitor.silent(organization=organization))["error"] == "access_denied"
    assert "code" not in answer_of(await visitor.authorize(organization=organization))
    await visitor.open(prompt="login")
    await visitor.browser.submit({"email": "ada@example.com"})
    await visitor.browser.submit({"password": "correct horse"})
    tokens = (await visitor.redeem(visitor.browser.parameters()["code"])).json()
    assert "org_id" not in claims_of(tokens["id_token"])
    assert await world.acme.run("SELECT * FROM memberships") == []


async def test_an_address_leads_to_its_organization_and_to_the_connection_that_it_takes(world: World) -> None:
    await add_database(world.acme, "con_a")  # before con_users: the one of a request that leads nowhere
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one", user)
    await owns(world.acme, organization)
    await allow(world.acme, organization)
    visitor = world.visitor(await world.acme.make_client())
    landed = await visitor.log_in(audience=API)
    tokens = (await visitor.redeem(landed["code"])).json()
    assert claims_of(tokens["access_token"])["org_id"] == organization
    denying = world.visitor(await world.acme.make_client(organization_usage="deny"))
    assert await denying.log_in() == {}, "the account is in the other database"


async def test_an_address_leads_only_where_its_person_belongs(world: World) -> None:
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one")
    await owns(world.acme, organization)
    for state in ({}, {"suspended_at": 1}):
        for name, value in state.items():
            await world.acme.run(f"UPDATE organizations SET {name} = :v", v=value)
        visitor = world.visitor(await world.acme.make_client())
        tokens = (await visitor.redeem((await visitor.log_in())["code"])).json()
        assert "org_id" not in claims_of(tokens["id_token"])
    await world.acme.run("UPDATE organizations SET suspended_at = NULL")
    await asks(world.acme, organization, domain_joining="automatic")
    visitor = world.visitor(await world.acme.make_client())
    tokens = (await visitor.redeem((await visitor.log_in())["code"])).json()
    assert claims_of(tokens["id_token"])["org_id"] == organization
    assert [row[0] for row in await world.acme.run("SELECT user_id FROM memberships")] == [user]


async def test_the_page_tells_nobody_where_an_address_leads(world: World) -> None:
    await world.acme.make_user()
    organization = await world.acme.make_organization("secret-name")
    await owns(world.acme, organization)
    pages = []
    for email in ("nobody@example.com", "user@evil.example", "nobody@example.com.evil"):
        visitor = world.visitor(await world.acme.make_client())
        await visitor.open()
        page = await visitor.browser.submit({"email": email})
        assert "secret-name" not in page.text
        assert organization not in page.text
        pages.append((page.status_code, page.url.path, page.headers.get("set-cookie")))
    assert len(set(pages)) == 1


async def test_somebody_elses_address_typed_in_passing_leads_nobody(world: World) -> None:
    user = await world.acme.make_user("ada@elsewhere.example")
    organization = await world.acme.make_organization("one", user)
    await owns(world.acme, organization)
    visitor = world.visitor(await world.acme.make_client())
    await visitor.log_in("ada@elsewhere.example")
    page = await visitor.open(prompt="login")
    await visitor.browser.submit({"email": "boss@example.com"})
    await visitor.browser.open("/u/login/identifier", state=page.url.params["state"])
    await visitor.browser.submit({"email": "ada@elsewhere.example"})
    await visitor.browser.submit({"password": "correct horse"})
    tokens = (await visitor.redeem(visitor.browser.parameters()["code"])).json()
    assert "org_id" not in claims_of(tokens["id_token"])
