"""One browser session: what is chosen at the organization API is what the login pages offer first, and whoever has
begun to say something in it has said nothing if it ends before they are done."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.installation import Installation
from tests.organizations.people import AuthAnswer, AuthClient, member, new_address, signed_in, visitor
from tests.organizations.places import organization_of
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio


async def test_the_active_organization_is_the_first_to_choose_from_and_chosen_by_nobody_else(
    shared: Installation,
) -> None:
    person = await signed_in(shared)
    made = [
        (await person.post("/organization/create", name=f"Place {place}", slug=f"place-{place}")).body["id"]
        for place in ("one", "two", "three")
    ]
    await person.post("/organization/set-active", organizationId=made[1])
    manager = await shared.manager("acme")
    client = shared.tenant("acme").clients["spa"]
    await manager.patch(
        f"/clients/{client.client_id}",
        {"organization_usage": "require", "organization_require_behavior": "post_login_prompt"},
    )
    try:
        party = RelyingParty(person.http, person.issuer, client, shared.tenant("acme").api_audience, None)  # type: ignore[arg-type]
        page = await party.authorize()
        offered = [value for name, value in party.browser.forms()[0].buttons if name == "organization"]
        assert offered[0] == made[1]
        assert set(offered) == set(made)
        assert page.text.count('aria-current="true"') == 1
        assert (await party.silent())["error"] == "interaction_required", "it is offered, never taken"

        await party.authorize()
        await party.browser.submit(button=("organization", made[2]))
        assert (await party.redeem(party.landed["code"])).claims["org_id"] == made[2]
        session = await person.session()
        assert session is not None
        assert session["activeOrganizationId"] == made[1], "a token for another is a token for another"
    finally:
        await manager.patch(
            f"/clients/{client.client_id}",
            {"organization_usage": "allow", "organization_require_behavior": "no_prompt"},
        )


async def slowly(
    person: AuthClient, path: str, meanwhile: Callable[[], Awaitable[object]], **body: object
) -> AuthAnswer:
    """What happens `meanwhile` happens after the session was looked at."""

    async def content() -> AsyncIterator[bytes]:
        whole = json.dumps(body).encode()
        yield whole[:1]
        await meanwhile()
        yield whole[1:]

    sent = {"content": content(), "headers": {"Content-Type": "application/json"}}
    return await person.call("POST", path, **sent)


async def test_nobody_acts_on_in_a_session_that_ends_while_their_body_comes_in(shared: Installation) -> None:
    owner, manager = await signed_in(shared), await shared.manager("acme")
    id = (await organization_of(owner))["id"]
    teams = (await owner.get("/organization/list-teams")).body
    other = await visitor(shared, email=owner.email, password=owner.password).sign_in()

    async def block() -> None:
        for blocked in (True, False):
            await manager.patch(f"/users/{owner.user_id}", {"blocked": blocked})

    async def revoke() -> None:
        assert (await other.post("/revoke-other-sessions")).status == 200

    late = [
        await slowly(owner, "/organization/create", revoke, name="Late", slug="late"),
        await slowly(
            await owner.sign_in(), "/organization/remove-team", revoke, organizationId=id, teamId=teams[0]["id"]
        ),
        await slowly(
            await owner.sign_in(), "/organization/invite-member", block,
            organizationId=id, email=new_address(), role="owner",
        ),
    ]  # fmt: skip
    assert [answer.status for answer in late] == [401, 401, 401]
    await owner.sign_in()
    assert [each["id"] for each in (await owner.get("/organization/list")).body] == [id]
    assert (await owner.get("/organization/list-invitations", organizationId=id)).body == []


async def test_who_leaves_a_team_is_where_they_are_by_then(shared: Installation) -> None:
    """Not where they were when they began to say so: put out of the organization meanwhile, or it is gone."""
    owner = await signed_in(shared)
    id = (await organization_of(owner))["id"]
    robin = await member(shared, id)
    await robin.post("/organization/set-active", organizationId=id)

    async def put_out() -> None:
        gone = await owner.post("/organization/remove-member", memberIdOrEmail=robin.email)
        assert gone.status == 200, gone

    async def delete() -> None:
        assert (await owner.post("/organization/delete", organizationId=id)).status == 200

    for person, meanwhile in ((robin, put_out), (owner, delete)):
        left = await slowly(person, "/organization/set-active-team", meanwhile, teamId=None)
        assert (left.status, left.text) == (200, "null")
        session = await person.session()
        assert session is not None
        assert session["activeOrganizationId"] is None
