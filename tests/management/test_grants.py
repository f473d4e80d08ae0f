"""What people consented to, and that withdrawing it ends what it allowed."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from entrypoints.demo_content import DemoUser
from entrypoints.network import Api
from tenant_runtime.login.sweeping import sweep
from tests.installation import Installation
from tests.registrations import consented_code, let_register, registered, stranger
from tests.relying_party import Answer, RelyingParty

pytestmark = pytest.mark.anyio

DAY = 86_400

CLIENT = {
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "client_secret_post",
}


@pytest.fixture
async def opened(installation: Installation) -> Installation:
    for tenant_id in ("acme", "globex"):
        await let_register(installation, tenant_id, mode="open")
    return installation


@asynccontextmanager
async def signed_in(
    installation: Installation,
    client: dict[str, Any],
    tenant_id: str = "acme",
    user: DemoUser | None = None,
    **changes: str | None,
) -> Any:
    async with installation.browser() as http:
        party = stranger(installation, tenant_id, client, http=http)
        party.user = user or party.user
        answer = await party.redeem(await consented_code(party, **changes))
        assert answer.status == 200, answer.body
        yield party, answer


async def works(party: RelyingParty, answer: Answer) -> tuple[bool, bool]:
    """Whether the refresh token does, and the access token at /userinfo. The refresh token is spent."""
    userinfo = (await party.userinfo(answer.access_token)).status_code == 200
    return (await party.refresh(answer.refresh_token)).status == 200, userinfo


async def test_consents_are_listed_as_auth0_lists_them(opened: Installation) -> None:
    client = await registered(opened, "acme", **CLIENT)
    async with signed_in(opened, client) as (party, answer):
        manager = await opened.manager("acme")
        [grant] = await manager.get("/grants", client_id=client["client_id"])
        assert grant == {
            "id": grant["id"],
            "clientID": client["client_id"],
            "user_id": answer.claims["sub"],
            "audience": party.audience,
            "scope": ["openid", "profile", "email", "offline_access", "read:invoices"],
        }
        page = await manager.get("/grants", include_totals="true", per_page=5, user_id=answer.claims["sub"])
        assert (page["grants"], page["total"], page["start"]) == ([grant], 1, 0)
        assert await manager.get("/grants", audience=party.audience) == [grant]
        for other in (
            {"user_id": "auth0|nobody"},
            {"client_id": "nobody"},
            {"audience": "https://no.example/"},
        ):
            assert await manager.get("/grants", **other) == []
        assert await (await opened.manager("globex")).get("/grants") == []


async def test_a_withdrawn_consent_ends_its_tokens_at_once_and_is_asked_again(opened: Installation) -> None:
    client = await registered(opened, "acme", **CLIENT)
    manager = await opened.manager("acme")
    async with signed_in(opened, client) as (party, answer):
        [grant] = await manager.get("/grants", client_id=client["client_id"])
        unredeemed = await consented_code(party)
        assert (await party.silent()).keys() >= {"code"}
        await manager.delete(f"/grants/{grant['id']}")
        assert await works(party, answer) == (False, False)
        assert (await party.redeem(unredeemed)).error == "invalid_grant"
        assert (await party.silent())["error"] == "consent_required"
        again = await party.redeem(await consented_code(party))
        assert await works(party, again) == (True, True)
    await manager.delete(f"/grants/{grant['id']}")


async def test_tokens_without_a_refresh_token_end_too(opened: Installation) -> None:
    client = await registered(opened, "acme", **CLIENT)
    manager = await opened.manager("acme")
    for audience in (None, ""):
        changes = {"scope": "openid", **({"audience": None} if audience is None else {})}
        async with signed_in(opened, client, **changes) as (party, answer):
            assert (await party.userinfo(answer.access_token)).status_code == 200
            for grant in await manager.get("/grants", client_id=client["client_id"]):
                await manager.delete(f"/grants/{grant['id']}")
            assert (await party.userinfo(answer.access_token)).status_code == 401


async def test_a_token_that_stands_alone_ends_however_long_ago_its_code_was(opened: Installation) -> None:
    """Its code is gone from the database after a day; it may live for thirty."""
    client = await registered(opened, "acme", **CLIENT)
    manager = await opened.manager("acme")
    server = next(
        one
        for one in await manager.get("/resource-servers")
        if one["identifier"] == opened.tenant("acme").api_audience
    )
    await manager.patch(f"/resource-servers/{server['id']}", {"token_lifetime": 30 * DAY})
    alone = {"scope": "openid read:invoices"}
    tenant = await opened.running.platform.directory.by_id("acme")
    assert tenant is not None
    async with (
        signed_in(opened, client, **alone) as (party, answer),
        signed_in(opened, client, user=opened.tenant("acme").users[1], **alone) as (neighbour, other),
    ):
        assert "refresh_token" not in answer.body
        opened.clock.advance(5 * DAY)
        await tenant.database.write(sweep, int(opened.clock.now() * 1000))
        assert (await party.userinfo(answer.access_token)).status_code == 200
        opened._tokens.clear()
        manager = await opened.manager("acme")
        query = {"client_id": client["client_id"], "user_id": answer.claims["sub"]}
        for _ in range(2):  # withdrawn, given again, and withdrawn again
            for grant in await manager.get("/grants", **query):
                await manager.delete(f"/grants/{grant['id']}")
            assert (await party.userinfo(answer.access_token)).status_code == 401
            assert not await is_active(party, answer)
            assert (await neighbour.userinfo(other.access_token)).status_code == 200
            opened.clock.advance(2)
            answer = await party.redeem(await consented_code(party, **alone))
            assert (await party.userinfo(answer.access_token)).status_code == 200
            assert await is_active(party, answer)


async def is_active(party: RelyingParty, answer: Answer) -> bool:
    form = {
        "token": answer.access_token,
        "client_id": party.client.client_id,
        "client_secret": party.client.client_secret,
    }
    told = await party.http.post(f"{party.issuer}oauth/introspect", data=form)
    assert told.status_code == 200, told.text
    return bool(told.json()["active"])


async def test_withdrawing_one_consent_leaves_every_other(opened: Installation) -> None:
    """Another API, another client, another person, another tenant."""
    client, second = await registered(opened, "acme", **CLIENT), await registered(opened, "acme", **CLIENT)
    foreign = await registered(opened, "globex", **CLIENT)
    manager, tenant = await opened.manager("acme"), opened.tenant("acme")
    async with (
        signed_in(opened, client) as withdrawn,
        signed_in(opened, client, audience=None) as without_api,
        signed_in(opened, second) as other_client,
        signed_in(opened, client, user=tenant.users[1]) as other_person,
        signed_in(opened, foreign, "globex") as other_tenant,
    ):
        user_id, audience = withdrawn[1].claims["sub"], withdrawn[0].audience
        [grant] = await manager.get(
            "/grants", client_id=client["client_id"], user_id=user_id, audience=audience
        )
        await manager.delete(f"/grants/{grant['id']}")
        assert await works(*withdrawn) == (False, False)
        for untouched in (without_api, other_client, other_person, other_tenant):
            assert await works(*untouched) == (True, True)


async def test_consent_is_for_one_organization_and_withdrawn_for_one(opened: Installation) -> None:
    client = await registered(opened, "acme", **CLIENT)
    manager, tenant = await opened.manager("acme"), opened.tenant("acme")
    mine = [one for one in tenant.organizations if tenant.users[0].email in one.members]
    north, south = mine[:2]
    async with (
        signed_in(opened, client, organization=north.id) as of_north,
        signed_in(opened, client, organization=south.id) as of_south,
    ):
        grants = await manager.get("/grants", client_id=client["client_id"])
        assert {grant["organization_id"] for grant in grants} == {north.id, south.id}
        await manager.delete(next(f"/grants/{g['id']}" for g in grants if g["organization_id"] == north.id))
        assert await works(*of_north) == (False, False)
        assert await works(*of_south) == (True, True)


async def test_all_consents_of_a_person_are_withdrawn_together(opened: Installation) -> None:
    first, second = await registered(opened, "acme", **CLIENT), await registered(opened, "acme", **CLIENT)
    manager, tenant = await opened.manager("acme"), opened.tenant("acme")
    async with (
        signed_in(opened, first) as one,
        signed_in(opened, second, audience=None) as two,
        signed_in(opened, first, user=tenant.users[1]) as other_person,
    ):
        await manager.delete(f"/grants?user_id={one[1].claims['sub'].replace('|', '%7C')}")
        assert await works(*one) == (False, False)
        assert await works(*two) == (False, False)
        assert await works(*other_person) == (True, True)
        left = await manager.get("/grants")
        assert {grant["user_id"] for grant in left} == {other_person[1].claims["sub"]}


async def test_consents_of_another_tenant_are_out_of_reach(opened: Installation) -> None:
    client = await registered(opened, "acme", **CLIENT)
    async with signed_in(opened, client) as (party, answer):
        manager, other = await opened.manager("acme"), await opened.manager("globex")
        [grant] = await manager.get("/grants")
        assert await other.status("DELETE", f"/grants/{grant['id']}") == 204, "as anything that is not there"
        await other.delete(f"/grants?user_id={answer.claims['sub'].replace('|', '%7C')}")
        assert await manager.get("/grants") == [grant]
        assert await works(party, answer) == (True, True)


async def test_whose_consents_go_must_be_said(opened: Installation) -> None:
    manager = await opened.manager("acme")
    for path in ("/grants", "/grants?user_id="):
        assert await manager.status("DELETE", path) == 400


async def test_withdrawing_is_told_in_the_log(opened: Installation) -> None:
    client = await registered(opened, "acme", **CLIENT)
    async with signed_in(opened, client):
        manager = await opened.manager("acme")
        [grant] = await manager.get("/grants")
        await manager.delete(f"/grants/{grant['id']}")
        await opened.running.services.audit.flush()
        events = await manager.get("/logs", per_page=100)
        assert [event["type"] for event in events if event.get("description") == "Delete grant"] == ["sapi"]


async def test_a_deleted_clients_tokens_open_the_management_api_no_more(opened: Installation) -> None:
    """They are somebody's own tokens, and the somebody still stands."""
    tenant, manager = opened.tenant("acme"), await opened.manager("acme")
    client = await registered(opened, "acme", **CLIENT)
    user = (await manager.get("/users", q=f'email:"{tenant.users[0].email}"'))[0]
    permission = {
        "permission_name": "read:clients",
        "resource_server_identifier": tenant.management_audience,
    }
    await manager.post(f"/users/{user['user_id']}/permissions", {"permissions": [permission]})
    grant = {"client_id": client["client_id"], "audience": tenant.management_audience}
    await manager.post("/client-grants", {**grant, "scope": ["read:clients"]})
    asked = {"audience": tenant.management_audience, "scope": "openid read:clients"}
    async with signed_in(opened, client, **asked) as (_, answer):
        api = Api(opened.http, f"{tenant.issuer}api/v2", answer.access_token)
        assert await api.status("GET", "/clients") == 200
        await manager.delete(f"/clients/{client['client_id']}")
        assert await api.status("GET", "/clients") == 401
