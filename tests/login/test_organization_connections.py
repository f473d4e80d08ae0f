"""By which connections people act in an organization, and what a log-in by one brings (bad inputs 87, 118)."""

from typing import Any

import pytest

from tenant_runtime import models
from tests.login.world import API, Place, Visitor, World, answer_of, claims_of

pytestmark = pytest.mark.anyio

CLOSED = "The organization does not take the way in which the user logs in."


async def allow(place: Place, organization: str, connection: str = "con_users", **flags: bool) -> None:
    values = {"assign_membership_on_login": False, "is_signup_enabled": False, "show_as_button": True} | flags
    await place.insert(
        models.OrganizationConnection,
        organization_id=organization,
        connection_id=connection,
        created_at=place.ms,
        **values,
    )


async def add_database(place: Place, id: str = "con_other") -> None:
    await place.insert(
        models.Connection, id=id, name=f"Of-{id}", strategy="auth0", options={}, metadata={},
        created_at=place.ms, updated_at=place.ms,
    )  # fmt: skip


async def signed_in(world: World) -> tuple[Visitor, str]:
    user = await world.acme.make_user()
    visitor = world.visitor(await world.acme.make_client())
    await visitor.log_in()
    return visitor, user


async def test_an_organization_that_names_connections_takes_those_only(world: World) -> None:
    visitor, user = await signed_in(world)
    open_to_all = await world.acme.make_organization("one", user)
    chosen = await world.acme.make_organization("two", user)
    closed = await world.acme.make_organization("three", user)
    await add_database(world.acme)
    await allow(world.acme, chosen)
    await allow(world.acme, closed, "con_other")
    for named in (open_to_all, chosen, "one", "two"):
        assert "code" in await visitor.silent(organization=named)
    for named in (closed, "three"):
        for changes in ({"prompt": "none"}, {}):
            answer = answer_of(await visitor.authorize(organization=named, **changes))
            assert (answer["error"], answer["error_description"]) == ("access_denied", CLOSED)


async def test_one_whose_only_connection_is_gone_opens_to_nobody(world: World) -> None:
    visitor, user = await signed_in(world)
    organization = await world.acme.make_organization("one", user)
    await allow(world.acme, organization, "con_gone")
    assert (await visitor.silent(organization=organization))["error_description"] == CLOSED


async def test_a_refresh_token_does_not_lead_where_the_connection_does_not(world: World) -> None:
    user = await world.acme.make_user()
    visitor = world.visitor(await world.acme.make_client())
    landed = await visitor.log_in(scope="openid offline_access")
    refresh = (await visitor.redeem(landed["code"])).json()["refresh_token"]
    closed = await world.acme.make_organization("one", user)
    await allow(world.acme, closed, "con_other")
    body = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": visitor.client_id}
    answer = (await visitor.http.post("/oauth/token", data={**body, "organization": closed})).json()
    assert (answer["error"], answer["error_description"]) == ("access_denied", CLOSED)


async def test_a_token_of_an_organization_ends_at_its_next_use_when_the_connection_is_taken_no_more(
    world: World,
) -> None:
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one", user)
    visitor = world.visitor(await world.acme.make_client())
    landed = await visitor.log_in(scope="openid offline_access", organization=organization)
    tokens = (await visitor.redeem(landed["code"])).json()

    async def refreshed() -> dict[str, Any]:
        body = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        answer = await visitor.http.post("/oauth/token", data={**body, "client_id": visitor.client_id})
        found: dict[str, Any] = answer.json()
        return found

    tokens |= await refreshed()
    await allow(world.acme, organization, "con_other")
    refused = await refreshed()
    assert (refused["error"], refused["error_description"]) == ("access_denied", CLOSED)
    await world.acme.run("DELETE FROM organization_connections")
    assert "access_token" in await refreshed(), "who was refused still holds a good token"


async def test_the_picker_offers_only_those_that_take_the_user(world: World) -> None:
    user = await world.acme.make_user()
    for name in ("one", "two", "three"):
        organization = await world.acme.make_organization(name, user)
        if name == "three":
            await allow(world.acme, organization, "con_other")
    behaviour = {"organization_usage": "require", "organization_require_behavior": "post_login_prompt"}
    visitor = world.visitor(await world.acme.make_client(**behaviour))
    await visitor.log_in()
    assert visitor.browser.response is not None
    assert all(name in visitor.browser.response.text for name in ("one", "two"))
    assert "three" not in visitor.browser.response.text


async def test_a_log_in_by_a_connection_that_brings_membership_makes_a_member(world: World) -> None:
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one")
    await allow(world.acme, organization, assign_membership_on_login=True)
    visitor = world.visitor(await world.acme.make_client())
    landed = await visitor.log_in(organization=organization, audience=API)
    tokens = (await visitor.redeem(landed["code"])).json()
    assert claims_of(tokens["access_token"])["org_id"] == organization
    members = "SELECT organization_id, user_id FROM memberships"
    assert [tuple(row) for row in await world.acme.run(members)] == [(organization, user)]
    assert [row[0] for row in await world.acme.run("SELECT role FROM membership_organization_roles")] == [
        "member"
    ]
    assert "code" in await visitor.silent(organization="one")
    assert len(await world.acme.run(members)) == 1


async def test_membership_comes_by_that_connection_only(world: World) -> None:
    visitor, _ = await signed_in(world)
    await add_database(world.acme)
    for flags in ({"connection": "con_other", "assign_membership_on_login": True}, {}):
        organization = await world.acme.make_organization(f"o{len(flags)}")
        await allow(world.acme, organization, **flags)  # type: ignore[arg-type]
        assert (await visitor.silent(organization=organization))["error"] == "access_denied"
    asleep = await world.acme.make_organization("asleep", suspended_at=1)
    await allow(world.acme, asleep, assign_membership_on_login=True)
    assert (await visitor.silent(organization=asleep))["error"] == "access_denied"
    assert await world.acme.run("SELECT id FROM memberships") == []


async def test_nobody_joins_an_organization_that_stands_for_a_tenant_by_logging_in(world: World) -> None:
    visitor, _ = await signed_in(world)
    organization = await world.acme.make_organization("tenant")
    await allow(world.acme, organization, assign_membership_on_login=True)
    managed = "UPDATE organizations SET managed_by = 'tenant'"
    await world.acme.tenant.database.alone(_run, managed, converge=True)
    assert (await visitor.silent(organization=organization))["error"] == "access_denied"
    assert await world.acme.run("SELECT id FROM memberships") == []


def _run(connection: Any, statement: str) -> None:
    connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("flags", "signs_up"),
    [
        (None, True),
        ({"assign_membership_on_login": True}, False),
        ({"assign_membership_on_login": True, "is_signup_enabled": True}, True),
        ({"connection": "con_other", "assign_membership_on_login": True, "is_signup_enabled": True}, False),
    ],
)
async def test_people_make_accounts_on_their_way_in_where_the_organization_lets_them(
    world: World, flags: dict[str, Any] | None, signs_up: bool
) -> None:
    organization = await world.acme.make_organization("one")
    if flags is not None:
        await allow(world.acme, organization, **flags)
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open(organization=organization, screen_hint="signup")
    await visitor.browser.submit(
        {"email": "new@example.com", "name": "New", "password": "correct horse battery"}
    )
    assert len(await world.acme.run("SELECT user_id FROM users")) == signs_up
    assert len(await world.acme.run("SELECT id FROM memberships")) == (signs_up and flags is not None)


async def test_of_several_databases_people_log_in_by_the_one_their_organization_takes(world: World) -> None:
    await add_database(world.acme, "con_a")  # before con_users: the one of a request that names nothing
    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one", user)
    await allow(world.acme, organization)
    visitor = world.visitor(await world.acme.make_client())
    assert await visitor.log_in() == {}  # the account is in the other one
    again = world.visitor(visitor.client_id)
    assert "code" in await again.log_in(organization="one")


async def test_a_connection_that_is_disabled_during_a_log_in_ends_it(world: World) -> None:
    await world.acme.make_user()
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open()
    await visitor.browser.submit({"email": "ada@example.com"})
    await world.acme.run("UPDATE connections SET enabled_for_all_clients = FALSE")
    assert (await visitor.browser.submit({"password": "correct horse"})).status_code == 400
    assert await world.acme.run("SELECT id FROM sessions") == []


async def test_a_connection_without_a_runtime_is_no_way_in(world: World) -> None:
    await world.acme.insert(
        models.Connection, id="con_idp", name="corporate", strategy="oidc", options={"client_id": "x"}, metadata={},
        created_at=1, updated_at=1,
    )  # fmt: skip
    visitor = world.visitor(await world.acme.make_client())
    answer = answer_of(await visitor.authorize(connection="corporate"))
    assert answer["error_description"] == "The connection is not enabled for this client."
    assert "corporate" not in (await visitor.open()).text
