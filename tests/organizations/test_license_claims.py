"""What tokens, userinfo and `/api/v1/licenses` tell of the organization that somebody acts in."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from entrypoints.demo_content import CALLBACK, DemoClient
from tenant_runtime.organizations.access import resources
from tenant_runtime.organizations.options import OrganizationOptions
from tests.installation import Installation
from tests.organizations.people import DATABASE, member, new_address, signed_in
from tests.organizations.test_licenses import subscribed
from tests.registrations import consented_code
from tests.relying_party import Answer, RelyingParty

NORTH, SOUTH = "acme-north", "acme-south"
EVERYTHING = "openid offline_access licenses entitlements org_permissions"
OF_OWNERS = sorted(
    f"{on}.{action}" for on, actions in resources(OrganizationOptions()).items() for action in actions
)
ASKED = ("licenses", "entitlements", "org_permissions")


def id_of(installation: Installation, name: str, tenant: str = "acme") -> str:
    return next(one.id for one in installation.tenant(tenant).organizations if one.name == name)


@asynccontextmanager
async def browser(installation: Installation, client: str = "web") -> AsyncIterator[RelyingParty]:
    async with installation.browser() as http:
        yield installation.relying_party("acme", client, http=http)


@asynccontextmanager
async def saying(installation: Installation, **options: Any) -> AsyncIterator[None]:
    """The tenant's options for its organizations, for a while."""
    manager = await installation.manager("acme")
    await manager.patch("/tenants/organizations", options)
    try:
        yield
    finally:
        await manager.patch("/tenants/organizations", dict.fromkeys(options))


async def refreshed(party: RelyingParty, answer: Answer, **changes: Any) -> Answer:
    again = await party.refresh(answer.refresh_token, **changes)
    assert again.status == 200, again.body
    return again


async def ask(installation: Installation, path: str, token: str | None, **query: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    url = f"{installation.tenant('acme').issuer}api/v1/licenses/{path}"
    return await installation.http.get(url, params=query, headers=headers)


async def test_who_asks_by_scope_is_told_in_every_place(shared: Installation) -> None:
    manager, north = await shared.manager("acme"), id_of(shared, NORTH)
    made = await subscribed(manager, north, "sso:true", "projects:5")
    name = (await manager.get(f"/products/{made['product_id']}"))["name"]
    async with browser(shared) as party:
        answer = await party.sign_in(organization=NORTH, scope=EVERYTHING)
        userinfo = (await party.userinfo(answer.access_token)).json()
    await manager.delete(f"/subscriptions/{made['id']}")
    for told in (answer.claims, answer.id_claims, userinfo):
        assert told["org_id"] == north
        assert told["licenses"] == [name]
        assert told["entitlements"] == {"projects": 5, "sso": True}
        assert told["org_permissions"] == OF_OWNERS
        assert "org_role" not in told


async def test_who_asks_by_the_claims_parameter_is_told_in_the_place_it_names(shared: Installation) -> None:
    requested = {"id_token": {"licenses": None}, "access_token": {"entitlements": None}}
    async with browser(shared) as party:
        answer = await party.sign_in(
            organization=NORTH, scope="openid", claims=msgspec.json.encode(requested).decode()
        )
    assert (answer.id_claims["licenses"], answer.claims["entitlements"]) == ([], {})
    assert not {"entitlements", "org_permissions"} & answer.id_claims.keys()
    assert not {"licenses", "org_permissions"} & answer.claims.keys()


async def test_opaque_tokens_tell_it_at_userinfo(shared: Installation) -> None:
    manager, north = await shared.manager("acme"), id_of(shared, NORTH)
    made = await subscribed(manager, north, "sso:true")
    requested = msgspec.json.encode({"userinfo": {"entitlements": None}}).decode()
    async with browser(shared) as party:
        answer = await party.sign_in(organization=NORTH, scope="openid", claims=requested, audience=None)
        assert (await party.userinfo(answer.access_token)).json()["entitlements"] == {"sso": True}
        await manager.delete(f"/subscriptions/{made['id']}")
        assert (await party.userinfo(answer.access_token)).json()["entitlements"] == {}


async def test_nothing_is_told_unasked_or_without_an_organization(shared: Installation) -> None:
    async with browser(shared) as party:
        unasked = await party.sign_in(organization=NORTH)
    async with browser(shared) as party:
        without = await party.sign_in(scope=EVERYTHING)
    for answer in (unasked, without):
        assert not set(ASKED) & (answer.claims.keys() | answer.id_claims.keys())


async def test_each_token_tells_of_its_own_moment(shared: Installation) -> None:
    manager, north, south = await shared.manager("acme"), id_of(shared, NORTH), id_of(shared, SOUTH)
    async with browser(shared) as party:
        first = await party.sign_in(organization=NORTH, scope=EVERYTHING)
        made = await subscribed(manager, north, "sso:true")
        bought = await refreshed(party, first)
        elsewhere = await refreshed(party, bought, organization=south)
        narrowed = await refreshed(party, elsewhere, organization=north, scope="openid entitlements")
        await manager.patch(f"/subscriptions/{made['id']}", {"status": "canceled"})
        ended = await refreshed(party, narrowed, organization=north)
    told = [one.claims["entitlements"] for one in (first, bought, elsewhere, narrowed, ended)]
    assert told == [{}, {"sso": True}, {}, {"sso": True}, {}]
    assert "licenses" not in narrowed.claims
    assert "licenses" in ended.claims


async def test_an_exchanged_token_tells_of_the_other_organization(shared: Installation) -> None:
    manager, south = await shared.manager("acme"), id_of(shared, SOUTH)
    made = await subscribed(manager, south, "sso:true")
    body = {"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]}
    async with browser(shared, "web2") as party:
        before = await manager.get(f"/clients/{party.client.client_id}")
        await manager.patch(f"/clients/{party.client.client_id}", body)
        answer = await party.sign_in(organization=NORTH, scope="openid entitlements read:invoices")
        access_token = "urn:ietf:params:oauth:token-type:access_token"
        exchanged = await party.token(
            {
                "grant_type": body["grant_types"][1],
                "subject_token": answer.access_token,
                "subject_token_type": access_token,
                "organization": south,
            }
        )
        await manager.patch(f"/clients/{party.client.client_id}", {"grant_types": before["grant_types"]})
    await manager.delete(f"/subscriptions/{made['id']}")
    assert (answer.claims["entitlements"], exchanged.claims["entitlements"]) == ({}, {"sso": True})
    assert exchanged.claims["org_id"] == south


async def test_the_role_is_told_where_the_tenant_says_so(shared: Installation) -> None:
    async with saying(shared, organization_role_claim=True), browser(shared) as party:
        answer = await party.sign_in(organization=NORTH)
        userinfo = (await party.userinfo(answer.access_token)).json()
        without = await refreshed(party, answer)
    assert [told["org_role"] for told in (answer.claims, answer.id_claims, userinfo)] == ["owner"] * 3
    assert without.claims["org_role"] == "owner"
    async with browser(shared) as party:
        assert "org_role" not in (await party.sign_in(organization=NORTH)).claims


async def test_other_names_stand_beside_the_claims_and_never_instead(shared: Installation) -> None:
    north = id_of(shared, NORTH)
    aliases = {"organization_id": "org_id", "organizationId": "org_id", "role": "org_role"}
    async with saying(shared, claim_aliases=aliases), browser(shared) as party:
        answer = await party.sign_in(organization=NORTH)
        userinfo = (await party.userinfo(answer.access_token)).json()
    for told in (answer.claims, answer.id_claims, userinfo):
        assert told["org_id"] == told["organization_id"] == told["organizationId"] == north
        assert told["role"] == "owner"
        assert "org_role" not in told


@pytest.mark.parametrize(
    "aliases",
    [{name: "org_id"} for name in ("iss", "sub", "aud", "exp", "scope", "permissions", "org_id", "act")]
    + [{"role": source} for source in ("sub", "permissions", "email", "scope")],
    ids=str,
)
async def test_no_setting_writes_another_claim(shared: Installation, aliases: dict[str, str]) -> None:
    manager = await shared.manager("acme")
    assert await manager.status("PATCH", "/tenants/organizations", {"claim_aliases": aliases}) == 400


async def test_introspection_tells_what_the_token_says(shared: Installation) -> None:
    async with browser(shared) as party:
        answer = await party.sign_in(organization=NORTH, scope=EVERYTHING)
        form = {"token": answer.access_token, "client_id": party.client.client_id}
        form["client_secret"] = party.client.client_secret or ""
        told = (await party.http.post(f"{party.issuer}oauth/introspect", data=form)).json()
    assert {name: told[name] for name in ASKED} == {name: answer.claims[name] for name in ASKED}


async def test_a_feature_is_checked_for_the_tokens_organization(shared: Installation) -> None:
    manager, north = await shared.manager("acme"), id_of(shared, NORTH)
    made = await subscribed(manager, north, "sso:true", "projects:5", "calls:unlimited", "none:0")
    async with browser(shared) as party:
        token = (await party.sign_in(organization=NORTH)).access_token
    expected = {
        ("sso", None): (True, None),
        ("sso", "1000000"): (True, None),
        ("projects", None): (True, 5),
        ("projects", "5"): (True, 5),
        ("projects", "6"): (False, 5),
        ("calls", "999999999999"): (True, None),
        ("none", None): (False, 0),
        ("unknown", None): (False, 0),
    }
    for (feature, need), (licensed, limit) in expected.items():
        query = {"feature": feature} | ({} if need is None else {"need": need})
        answer = await ask(shared, "check", token, **query)
        assert answer.json() == {
            "feature": feature,
            "licensed": licensed,
            "limit": limit,
            "organization_id": north,
        }
        assert answer.headers["cache-control"] == "no-store"
    found = (await ask(shared, "entitlements", token)).json()
    assert found["entitlements"] == {"calls": "unlimited", "none": 0, "projects": 5, "sso": True}
    await manager.delete(f"/subscriptions/{made['id']}")
    assert (await ask(shared, "check", token, feature="sso")).json()["licensed"] is False


@pytest.mark.parametrize(
    "query", ["", "feature=", "feature=A", "feature=sso&feature=calls", "feature=sso&need=0", "feature=sso&need=-1",
              "feature=sso&need=1e3", "feature=sso&need=%00", "feature=sso&organization_id=org_x", "feature=%2e%2e"]
)  # fmt: skip
async def test_a_question_that_is_none_is_400(shared: Installation, query: str) -> None:
    async with browser(shared) as party:
        token = (await party.sign_in(organization=NORTH)).access_token
    url = f"{shared.tenant('acme').issuer}api/v1/licenses/check?{query}"
    answer = await shared.http.get(url, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string")
    assert answer.json().keys() == {"statusCode", "error", "message", "errorCode"}


async def test_who_is_nobody_here_is_told_nothing(shared: Installation) -> None:
    async with browser(shared) as party:
        answer = await party.sign_in(organization=NORTH)
        no_userinfo = await party.sign_in(organization=NORTH, scope="read:invoices")
    async with shared.browser() as http:
        stranger = shared.relying_party("globex", http=http)
        theirs = await stranger.sign_in(organization="globex-north")
    manager = await shared.manager("acme")
    tokens = (
        None,
        "x",
        answer.body["id_token"],
        answer.refresh_token,
        f"{answer.access_token[:-2]}AA",
        theirs.access_token,
        no_userinfo.access_token,
        manager._headers["Authorization"].removeprefix("Bearer "),
    )
    for token in tokens:
        refused = await ask(shared, "check", token, feature="sso")
        assert (refused.status_code, refused.json()["errorCode"]) == (401, "invalid_token")
        assert "Bearer" in refused.headers["www-authenticate"]
    url = (
        f"{shared.tenant('acme').issuer}api/v1/licenses/check?feature=sso&access_token={answer.access_token}"
    )
    assert (await shared.http.get(url)).status_code == 400


async def test_without_an_organization_there_is_nothing_to_be_told(shared: Installation) -> None:
    async with browser(shared) as party:
        token = (await party.sign_in()).access_token
    person = await signed_in(shared)
    of_session = await person.http.get(f"{person.issuer}api/v1/licenses/entitlements")
    for answer in (await ask(shared, "entitlements", token), of_session):
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "organization_required")


async def test_whoever_is_removed_is_told_nothing_from_then_on(installation: Installation) -> None:
    manager, north = await installation.manager("acme"), id_of(installation, NORTH)
    async with browser(installation) as party:
        answer = await party.sign_in(organization=NORTH)
    await manager.delete(f"/organizations/{north}/members", {"members": [answer.claims["sub"]]})
    assert (await ask(installation, "entitlements", answer.access_token)).status_code == 401


async def test_a_stranger_needs_the_scope(installation: Installation) -> None:
    manager = await installation.manager("acme")
    body = {
        "name": f"Third party {secrets.token_hex(3)}",
        "app_type": "native",
        "is_first_party": False,
        "callbacks": [CALLBACK],
        "grant_types": ["authorization_code"],
        "organization_usage": "allow",
    }
    made = await manager.post("/clients", body)
    tenant = installation.tenant("acme")
    statuses = []
    for scope in ("openid", "openid entitlements"):
        async with installation.browser() as http:
            client = DemoClient(made["client_id"])
            party = RelyingParty(http, tenant.issuer, client, tenant.api_audience, tenant.users[0])
            code = await consented_code(party, organization=NORTH, scope=scope)
            token = (await party.redeem(code)).access_token
        answer = await ask(installation, "entitlements", token)
        statuses.append((answer.status_code, "entitlements" in answer.text))
    assert statuses == [(403, True), (200, True)]


async def test_the_sessions_active_organization_counts_while_they_belong_to_it(
    installation: Installation,
) -> None:
    manager, north = await installation.manager("acme"), id_of(installation, NORTH)
    await subscribed(manager, north, "sso:true")
    person = await member(installation, north)
    active = await person.post("/organization/set-active", organizationId=north)
    assert active.status == 200, active
    url = f"{person.issuer}api/v1/licenses/check"
    answer = await person.http.get(url, params={"feature": "sso"})
    assert answer.json() == {"feature": "sso", "licensed": True, "limit": None, "organization_id": north}
    await manager.delete(f"/organizations/{north}/members", {"members": [person.user_id]})
    assert (await person.http.get(url, params={"feature": "sso"})).status_code == 403
    await person.post("/sign-out")
    assert (await person.http.get(url, params={"feature": "sso"})).status_code == 401


async def test_a_tenant_that_waits_to_be_migrated_tells_nothing_of_licenses(behind: Installation) -> None:
    """Tokens are issued as before; what asks for it gets nothing, or is told to come back."""
    manager, north = await behind.manager("acme"), id_of(behind, NORTH)
    async with browser(behind) as party:
        answer = await refreshed(party, await party.sign_in(organization=NORTH, scope=EVERYTHING))
        userinfo = (await party.userinfo(answer.access_token)).json()
    for told in (answer.claims, answer.id_claims, userinfo):
        assert told["org_id"] == north
        assert not set(ASKED) & told.keys()
    assert (await ask(behind, "entitlements", answer.access_token)).status_code == 503
    body = {"connection": DATABASE, "email": new_address(), "password": secrets.token_urlsafe(15)}
    made = await manager.post("/users", body)
    await manager.post(f"/organizations/{north}/members", {"members": [made["user_id"]]})
