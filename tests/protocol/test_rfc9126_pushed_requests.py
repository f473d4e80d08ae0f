"""RFC 9126: pushed authorization requests, and `specs/bad-inputs.md` 47."""

import asyncio
import base64
from typing import Any

import pytest

from tests.login.world import CALLBACK, World, answer_of, claims_of
from tests.protocol.requesters import PAR_PREFIX, Requester, count, is_page, make_requester

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web(world: World) -> Requester:
    await world.acme.make_user()
    return await make_requester(world, confidential=True)


async def test_a_pushed_request_is_answered_with_a_reference_for_a_minute(web: Requester) -> None:
    answer = await web.push()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["expires_in"] == 60
    assert body["request_uri"].startswith(PAR_PREFIX)
    assert len(body["request_uri"].removeprefix(PAR_PREFIX)) >= 43  # 256 bits
    assert body["request_uri"] != (await web.push()).json()["request_uri"]


async def test_client_id_and_request_uri_are_enough(web: Requester) -> None:
    answer = await web.log_in(request_uri=await web.pushed(state="S" * 512, nonce="N" * 512))
    assert (answer["state"], answer["iss"]) == ("S" * 512, web.place.tenant.issuer)
    tokens = await web.redeem(answer["code"])
    assert tokens.status_code == 200, tokens.text
    assert claims_of(tokens.json()["id_token"])["nonce"] == "N" * 512


async def test_only_the_pushed_parameters_count(web: Requester) -> None:
    request_uri = await web.pushed(state="pushed", scope="openid", nonce=None)
    answer = await web.log_in(
        request_uri=request_uri, state="sent", scope="openid email", response_type="token", nonce="sent",
        redirect_uri="https://evil.example/", prompt="none", response_mode="fragment",
    )  # fmt: skip
    assert answer["state"] == "pushed"
    body = (await web.redeem(answer["code"])).json()
    assert body["scope"] == "openid"
    assert "nonce" not in claims_of(body["id_token"])


async def test_a_reference_may_come_as_a_form(web: Requester) -> None:
    form = {"client_id": web.client_id, "request_uri": await web.pushed()}
    response = await web.visitor.http.post("/authorize", data=form)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/u/login/identifier?state=")


async def test_a_public_client_may_push_too(world: World) -> None:
    await world.acme.make_user()
    spa = await make_requester(world)
    answer = await spa.log_in(request_uri=await spa.pushed())
    assert (await spa.redeem(answer["code"])).status_code == 200


async def test_a_request_may_be_pushed_as_json_and_with_basic_authentication(web: Requester) -> None:
    assert (await web.visitor.http.post("/oauth/par", json=web.body())).status_code == 201
    await web.place.run("UPDATE clients SET token_endpoint_auth_method = 'client_secret_basic'")
    basic = base64.b64encode(f"{web.client_id}:{web.secret}".encode()).decode()
    answer = await web.push({"Authorization": f"Basic {basic}"}, client_secret=None, client_id=None)
    assert answer.status_code == 201
    assert "code" in await web.log_in(request_uri=answer.json()["request_uri"])


async def test_only_digests_are_stored(web: Requester) -> None:
    secret = (await web.pushed()).removeprefix(PAR_PREFIX)
    ((found, parameters),) = await web.place.run("SELECT digest, parameters FROM pushed_requests")
    assert secret not in f"{found}{parameters}"
    assert str(web.secret) not in parameters


# --- What is refused at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": 'open"id'}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"audience": "https://nobody.example/"}, "access_denied"),
        ({"resource": "https://nobody.example/"}, "invalid_target"),
        ({"resource": "relative"}, "invalid_target"),
        ({"dpop_jkt": "x"}, "invalid_request"),
        ({"state": "x" * 5000}, "invalid_request"),
        ({"claims": '{"id_token": {"acr": {"essential": true, "value": "x"}}}'}, "unmet_authentication_requirements"),
        ({"request_uri": PAR_PREFIX + "x"}, "invalid_request"),
        ({"request_uri": "https://app.example.com/request.jwt"}, "invalid_request"),
        ({"request": "e30.e30.e30"}, "invalid_request_object"),
    ],
)  # fmt: skip
async def test_what_authorize_would_refuse_is_refused_at_once(
    web: Requester, changes: dict[str, str | None], error: str
) -> None:
    answer = await web.push(**changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["content-type"] == "application/json"
    assert await count(web.place, "pushed_requests") == 0


async def test_an_empty_organization_is_a_mistake_in_a_form_and_in_json(web: Requester) -> None:
    body = {**web.body(), "organization": ""}
    for refused in (
        await web.visitor.http.post("/oauth/par", data=body),
        await web.visitor.http.post("/oauth/par", json=body),
    ):
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


async def test_a_pushed_request_is_of_the_client_that_pushes_it(world: World, web: Requester) -> None:
    other = await make_requester(world, confidential=True)
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"client_secret": other.secret}, "invalid_client"),
        ({"client_secret": None}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
    ]
    for changes, error in cases:
        answer = await web.push(**changes)
        assert (answer.status_code, answer.json()["error"]) == (401, error)
        assert "www-authenticate" in answer.headers
    basic = base64.b64encode(f"{other.client_id}:{other.secret}".encode()).decode()
    answer = await web.push({"Authorization": f"Basic {basic}"}, client_secret=None)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert await count(web.place, "pushed_requests") == 0


async def test_a_secret_that_was_taken_away_pushes_nothing(web: Requester) -> None:
    await web.pushed()
    await web.place.run("DELETE FROM client_secrets")
    assert (await web.push()).status_code == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused(web: Requester, method: str) -> None:
    answer = await web.visitor.http.request(method, "/oauth/par", params={"client_id": web.client_id})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"] == "invalid_request"


async def test_the_body_is_read_strictly(web: Requester) -> None:
    http, body = web.visitor.http, web.body()
    twice = "&".join(
        ["state=1", *(f"{name}={value}" for name, value in body.items() if name != "state"), "state=2"]
    )
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await http.post("/oauth/par", content=twice, headers=form)).status_code == 400
    assert (await http.post("/oauth/par", data=body | {"state": "x" * 70_000})).status_code == 413
    assert (
        await http.post("/oauth/par", content=b"x", headers={"Content-Type": "text/plain"})
    ).status_code == 415
    assert (await http.post("/oauth/par?client_secret=x", data=body)).status_code == 400
    assert await count(web.place, "pushed_requests") == 0


# --- Whose, and how long ---------------------------------------------------------------------------------------------


async def test_a_reference_is_refused_after_its_time(world: World, web: Requester) -> None:
    request_uri = await web.pushed()
    world.clock.move(59)
    assert (await web.authorize(request_uri=request_uri)).status_code == 302
    world.clock.move(2)
    assert is_page(await web.authorize(request_uri=request_uri), "invalid_request_uri")


async def test_a_login_that_was_begun_in_time_goes_on(world: World, web: Requester) -> None:
    await web.visitor.browser.open("/authorize", client_id=web.client_id, request_uri=await web.pushed())
    world.clock.move(600)
    await web.visitor.browser.submit({"email": "ada@example.com"})
    await web.visitor.browser.submit({"password": "correct horse"})
    assert (await web.redeem(web.visitor.browser.parameters()["code"])).status_code == 200


async def test_a_reference_is_for_one_client_of_one_tenant_at_one_issuer(world: World) -> None:
    same = "the-same-client-id"
    here = await make_requester(world, client_id=same)
    there = await make_requester(world, world.globex, client_id=same)
    other = await make_requester(world)
    request_uri = await here.pushed()
    for requester in (there, other):
        assert is_page(await requester.authorize(request_uri=request_uri), "invalid_request_uri")
    assert is_page(await here.authorize(request_uri=request_uri + "x"), "invalid_request_uri")
    assert is_page(await here.authorize(request_uri=PAR_PREFIX), "invalid_request_uri")
    await here.place.run("UPDATE pushed_requests SET issuer = 'https://login.acme.example/'")
    assert is_page(await here.authorize(request_uri=request_uri), "invalid_request_uri")
    await here.place.run("UPDATE pushed_requests SET issuer = :issuer", issuer=here.place.tenant.issuer)
    assert (await here.authorize(request_uri=request_uri)).status_code == 302
    for table in ("authorization_requests", "pushed_requests"):
        assert await count(world.globex, table) == 0


async def test_what_is_wrong_with_a_reference_is_a_page_also_where_an_address_stands_beside_it(
    web: Requester,
) -> None:
    good = {"redirect_uri": CALLBACK, "response_type": "code", "state": "x"}
    for request_uri in (PAR_PREFIX + "unknown", "urn:ietf:params:oauth:request_uri:"):
        assert is_page(await web.authorize(request_uri=request_uri, **good), "invalid_request_uri")
    unnamed = await web.visitor.http.get("/authorize", params={"request_uri": await web.pushed()})
    assert is_page(unnamed, "client_id")
    both = await web.authorize(request_uri=await web.pushed(), request="e30.e30.e30")
    assert is_page(both)


async def test_a_reference_may_be_opened_again_until_a_code_was_issued_for_it(web: Requester) -> None:
    request_uri = await web.pushed()
    for _ in range(3):
        assert (await web.authorize(request_uri=request_uri)).headers["location"].startswith("/u/login/")
    assert "code" in await web.log_in(request_uri=request_uri)
    assert is_page(await web.authorize(request_uri=request_uri), "invalid_request_uri")
    assert is_page(await web.browser().authorize(request_uri=request_uri), "invalid_request_uri")


async def test_an_error_does_not_use_a_reference_up(web: Requester) -> None:
    request_uri = await web.pushed(prompt="none")
    assert answer_of(await web.authorize(request_uri=request_uri))["error"] == "login_required"
    await web.log_in(request_uri=await web.pushed())
    assert "code" in answer_of(await web.authorize(request_uri=request_uri))
    assert is_page(await web.authorize(request_uri=request_uri), "invalid_request_uri")


async def test_of_two_people_who_complete_one_request_one_gets_a_code(web: Requester) -> None:
    request_uri = await web.pushed()
    first, second = web, web.browser()
    for one in (first, second):
        await one.visitor.browser.open("/authorize", client_id=one.client_id, request_uri=request_uri)
        await one.visitor.browser.submit({"email": "ada@example.com"})
    await asyncio.gather(
        *(one.visitor.browser.submit({"password": "correct horse"}) for one in (first, second))
    )
    answers = [one.visitor.browser.parameters() for one in (first, second)]
    assert sorted("code" in answer for answer in answers) == [False, True]
    assert {answer.get("error") for answer in answers} == {None, "invalid_request_uri"}
    assert await count(web.place, "authorization_codes") == 1


async def test_of_many_silent_arrivals_at_once_one_gets_a_code(web: Requester) -> None:
    await web.log_in(request_uri=await web.pushed())
    request_uri = await web.pushed(prompt="none")
    answers = await asyncio.gather(*(web.authorize(request_uri=request_uri) for _ in range(8)))
    codes = [answer for answer in answers if "code=" in answer.headers.get("location", "")]
    assert len(codes) == 1
    assert await count(web.place, "authorization_codes") == 2


async def test_a_pushed_request_is_judged_again_when_it_is_opened(web: Requester) -> None:
    request_uri = await web.pushed()
    await web.place.run("UPDATE clients SET callbacks = '[\"https://app.example.com/other\"]'")
    await web.place.run("UPDATE tenant SET config_version = config_version + 1")
    assert is_page(await web.authorize(request_uri=request_uri))


async def test_no_request_can_say_that_it_was_pushed(world: World) -> None:
    strict = await make_requester(world, require_pushed_authorization_requests=True)
    plain: dict[str, Any] = strict.visitor.parameters(pushed="1", signed="1", prompt="none")
    answer = answer_of(await strict.visitor.http.get("/authorize", params=plain))
    assert (answer["error"], answer["state"]) == ("invalid_request", plain["state"])


async def test_a_client_that_must_push_is_told_by_redirect_where_its_address_is_good(world: World) -> None:
    await world.acme.make_user()
    strict = await make_requester(world, confidential=True, require_pushed_authorization_requests=True)
    assert answer_of(await strict.visitor.authorize())["error"] == "invalid_request"
    assert is_page(await strict.visitor.authorize(redirect_uri="https://evil.example/"))
    assert "code" in await strict.log_in(request_uri=await strict.pushed())


async def test_what_is_over_is_swept_but_not_while_a_login_may_go_on(world: World, web: Requester) -> None:
    from tenant_runtime.login.sweeping import sweep

    await web.pushed()
    for seconds, left in ((61, 1), (3500, 1), (200, 0)):
        world.clock.move(seconds)
        await web.place.tenant.database.write(sweep, web.place.ms)
        assert await count(web.place, "pushed_requests") == left


async def test_browsers_of_registered_origins_may_push(world: World) -> None:
    spa = await make_requester(world)
    answer = await spa.push({"Origin": "https://app.example.com"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    preflight = await spa.visitor.http.options("/oauth/par", headers={"Origin": "https://app.example.com"})
    assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (204, "POST")
