"""RFC 8707: the API that a token is for, by the registered word for it, at both endpoints."""

import pytest

from tenant_runtime import models
from tests.login.world import API as ORDERS
from tests.login.world import Visitor, World, answer_of, claims_of
from tests.protocol.issuer import API, OPEN_API, Issuers
from tests.protocol.requesters import make_requester

pytestmark = pytest.mark.anyio

OTHER = "https://other.example.com/mcp?v=1"
FORMS = [
    "relative", "/path", "//host/path", "", "https://api.example.com/#", "https://api.example.com/#part", "api",
    "https:", "https://api.example.com/ x", 'https://api.example.com/"', "https://äpi.example.com/", "1http://x",
]  # fmt: skip


async def add_api(world: World, identifier: str, place_name: str = "acme") -> None:
    place = getattr(world, place_name)
    await place.insert(
        models.ResourceServer, id=f"rs_{len(identifier)}", identifier=identifier, name="Other", metadata={},
        attributes={}, labels=[], allow_offline_access=True, is_management=False, is_system=False,
        created_at=place.ms, updated_at=place.ms,
    )  # fmt: skip


@pytest.fixture
async def visitor(world: World) -> Visitor:
    await world.acme.make_user()
    return world.visitor(await world.acme.make_client())


# --- At the authorization endpoint -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [ORDERS, OTHER])
async def test_the_token_is_for_the_resource_that_was_asked_for(
    world: World, visitor: Visitor, resource: str
) -> None:
    await add_api(world, OTHER)
    answer = await visitor.log_in(resource=resource, scope="openid read:orders offline_access")
    tokens = (await visitor.redeem(answer["code"], resource=resource)).json()
    audience = claims_of(tokens["access_token"])["aud"]
    assert audience[0] == resource
    assert tokens["scope"].split() == (
        ["openid", "read:orders", "offline_access"] if resource == ORDERS else ["openid", "offline_access"]
    )


async def test_resource_and_audience_may_name_the_same_api(visitor: Visitor) -> None:
    assert "code" in await visitor.log_in(resource=ORDERS, audience=ORDERS)


@pytest.mark.parametrize("resource", [form for form in FORMS if form])
async def test_what_is_no_absolute_uri_without_a_fragment_is_refused(visitor: Visitor, resource: str) -> None:
    answer = answer_of(await visitor.authorize(resource=resource))
    assert (answer["error"], answer["state"]) == ("invalid_target", "s t&te")


async def test_an_unknown_resource_and_one_of_another_tenant_are_one_answer(
    world: World, visitor: Visitor
) -> None:
    await add_api(world, OTHER, "globex")
    answers = [
        answer_of(await visitor.authorize(resource=resource))
        for resource in (OTHER, "https://nobody.example/", "urn:nobody", ORDERS.upper())
    ]
    assert {answer["error"] for answer in answers} == {"invalid_target"}
    assert len({answer["error_description"] for answer in answers}) == 1
    assert (await world.acme.run("SELECT count(*) FROM authorization_requests"))[0][0] == 0


async def test_two_apis_are_refused_also_when_both_are_known(world: World, visitor: Visitor) -> None:
    await add_api(world, OTHER)
    differing = await visitor.authorize(resource=ORDERS, audience=OTHER)
    assert answer_of(differing)["error"] == "invalid_target"
    pairs = [*visitor.parameters(resource=ORDERS).items(), ("resource", OTHER)]
    answer = answer_of(await visitor.http.get("/authorize", params=pairs))
    assert (answer["error"], answer["state"]) == ("invalid_target", "s t&te")


async def test_a_pushed_and_a_signed_request_name_it_alike(world: World) -> None:
    await world.acme.make_user()
    web = await make_requester(world)
    for request_uri in (
        await web.pushed(resource=ORDERS), await web.pushed(request=web.signed(resource=[ORDERS])),
    ):  # fmt: skip
        answer = await web.log_in(request_uri=request_uri)
        tokens = (await web.redeem(answer["code"])).json()
        assert claims_of(tokens["access_token"])["aud"][0] == ORDERS
    for refused in (
        await web.push(resource="https://nobody.example/"),
        await web.push(request=web.signed(resource=[ORDERS, OTHER])),
        await web.visitor.http.post("/oauth/par", data={**web.body(), "resource": [ORDERS, OTHER]}),
    ):
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


# --- At the token endpoint -------------------------------------------------------------------------------------------


async def test_a_code_may_name_its_resource_again_and_no_other(visitor: Visitor, world: World) -> None:
    await add_api(world, OTHER)
    answer = await visitor.log_in(resource=ORDERS)
    for resource in (OTHER, "https://nobody.example/", "relative", ORDERS + "#"):
        refused = await visitor.redeem(answer["code"], resource=resource)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target"), resource
    tokens = await visitor.redeem(answer["code"], resource=ORDERS)
    assert tokens.status_code == 200, tokens.text


async def test_a_code_without_a_resource_is_not_given_one_later(visitor: Visitor) -> None:
    answer = await visitor.log_in()
    refused = await visitor.redeem(answer["code"], resource=ORDERS)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    tokens = (await visitor.redeem(answer["code"])).json()
    assert tokens["access_token"].count(".") == 0


async def test_a_refresh_names_the_resource_of_its_family_and_no_other(issuers: Issuers) -> None:
    acme = issuers.acme
    tokens = await acme.tokens(audience=OPEN_API, scope="openid offline_access read:invoices")
    for resource, audience in ((API, ""), ("https://nobody.example/", ""), ("relative", ""), (OPEN_API, API)):
        named = {"audience": audience} if audience else {}
        refused = await acme.refresh(tokens["refresh_token"], resource=resource, **named)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target"), resource
    again = await acme.refresh(tokens["refresh_token"], resource=OPEN_API)
    assert again.status_code == 200, again.text
    assert claims_of(again.json()["access_token"])["aud"][0] == OPEN_API


async def test_client_credentials_are_for_the_resource_that_is_named(issuers: Issuers) -> None:
    acme = issuers.acme
    answer = await acme.machine(resource=API)
    assert answer.status_code == 200, answer.text
    assert claims_of(answer.json()["access_token"])["aud"] == API
    assert (await acme.machine(resource=API, audience=API)).status_code == 200
    theirs = issuers.globex.tenant.management_audience
    for wrong in (
        {"resource": theirs}, {"resource": "https://nobody.example/"}, {"resource": API, "audience": OPEN_API},
        {"resource": "relative"}, {"resource": API + "#x"},
    ):  # fmt: skip
        refused = await acme.machine(**wrong)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target"), wrong
        assert "access_token" not in refused.json()
    ungranted = await acme.machine(resource=OPEN_API)
    assert (ungranted.status_code, ungranted.json()["error"]) == (403, "access_denied")


async def test_two_resources_at_the_token_endpoint_are_an_invalid_target(issuers: Issuers) -> None:
    acme = issuers.acme
    form = {
        "grant_type": "client_credentials", "client_id": "m2m", "client_secret": acme.secrets["m2m"],
        "resource": [API, OPEN_API],
    }  # fmt: skip
    refused = await acme.http.post("/oauth/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


async def test_a_resource_without_a_value_is_not_sent(visitor: Visitor) -> None:
    response = await visitor.authorize(resource="")
    assert response.headers["location"].startswith("/u/login/")


async def test_a_resource_without_a_value_is_not_sent_to_the_token_endpoint(issuers: Issuers) -> None:
    assert (await issuers.acme.machine(resource="", audience=API)).status_code == 200
