"""RP-Initiated Logout 1.0 and Auth0's /v2/logout (`specs/protocol.md` section 2.5)."""

import httpx
import pytest

from core.crypto import jwt
from core.crypto.keys import SigningKey
from tests.login.world import SIGNED_OUT, Visitor, World, claims_of

pytestmark = pytest.mark.anyio


async def signed_in(world: World, **client: object) -> tuple[Visitor, str, str]:
    visitor = world.visitor(await world.acme.make_client(**client))
    await world.acme.make_user()
    answer = await visitor.log_in(scope="openid offline_access")
    tokens = (await visitor.redeem(answer["code"])).json()
    return visitor, tokens["id_token"], tokens["refresh_token"]


async def leave(visitor: Visitor, **parameters: str) -> httpx.Response:
    return await visitor.http.get("/oidc/logout", params=parameters)


async def is_signed_in(visitor: Visitor) -> bool:
    return "code" in await visitor.silent()


async def test_hint_and_registered_address_lead_back_with_the_state_and_nothing_else(world: World) -> None:
    visitor, token, _ = await signed_in(world)
    response = await leave(visitor, id_token_hint=token, post_logout_redirect_uri=SIGNED_OUT, state="a b&c")
    assert response.status_code == 303
    assert response.headers["location"] == SIGNED_OUT + "?state=a%20b%26c"
    assert not await is_signed_in(visitor)
    assert visitor.session() is None


async def test_no_state_comes_back_where_none_was_sent(world: World) -> None:
    visitor, token, _ = await signed_in(world)
    response = await leave(visitor, id_token_hint=token, post_logout_redirect_uri=SIGNED_OUT)
    assert response.headers["location"] == SIGNED_OUT
    assert not await is_signed_in(visitor)


@pytest.mark.parametrize(
    "address", [SIGNED_OUT + "?foo=bar", "https://evil.example", SIGNED_OUT + "/", "javascript:x"]
)
async def test_an_address_that_is_not_registered_is_no_redirect(world: World, address: str) -> None:
    visitor, token, _ = await signed_in(world)
    response = await leave(visitor, id_token_hint=token, post_logout_redirect_uri=address)
    assert response.status_code == 400
    assert await is_signed_in(visitor)


async def test_a_hint_that_is_not_ours_is_a_question_and_no_redirect(world: World) -> None:
    visitor, token, refresh = await signed_in(world)
    claims, payload = claims_of(token), token.split(".")[1]
    hints = [
        f"eyJhbGciOiJub25lIn0.{payload}.", jwt.sign(claims, SigningKey.generate("RS256"), typ="JWT"),
        jwt.sign(claims | {"iss": world.globex.tenant.issuer}, world.acme.signing, typ="JWT"),
        jwt.sign(claims, world.acme.signing, typ="logout+jwt"), jwt.sign(claims, world.acme.signing, typ="at+jwt"),
        jwt.sign(claims | {"sub": "auth0|other"}, world.acme.signing, typ="JWT"), refresh,
    ]  # fmt: skip
    for hint in hints:
        response = await leave(visitor, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)
        assert response.status_code == 200
        assert "Sign out?" in response.text
        assert await is_signed_in(visitor)


async def test_without_a_hint_a_question_is_asked_and_no_redirect_follows(world: World) -> None:
    visitor, _, _ = await signed_in(world)
    for parameters in ({}, {"state": "x"}, {"post_logout_redirect_uri": SIGNED_OUT}):
        await visitor.browser.open("/oidc/logout", **parameters)
        assert "Sign out?" in visitor.browser.response.text
        assert await is_signed_in(visitor)
    response = await visitor.browser.submit(button=("decision", "logout"))
    assert response.status_code == 200
    assert "You are signed out" in response.text
    assert visitor.browser.landed is None
    assert not await is_signed_in(visitor)


async def test_a_client_that_names_itself_is_returned_to_after_the_question(world: World) -> None:
    visitor, _, _ = await signed_in(world)
    wanted = {"client_id": visitor.client_id, "post_logout_redirect_uri": SIGNED_OUT, "state": "1"}
    await visitor.browser.open("/oidc/logout", **wanted)
    await visitor.browser.submit(button=("decision", "stay"))
    assert await is_signed_in(visitor)
    await visitor.browser.open("/oidc/logout", **wanted)
    await visitor.browser.submit(button=("decision", "logout"))
    assert visitor.browser.landed == SIGNED_OUT + "?state=1"
    assert not await is_signed_in(visitor)
    other = await leave(visitor, client_id=visitor.client_id, post_logout_redirect_uri="https://evil.example")
    assert other.status_code == 400


async def test_hint_without_address_is_a_page_that_says_so(world: World) -> None:
    visitor, token, _ = await signed_in(world)
    response = await leave(visitor, id_token_hint=token)
    assert "You are signed out" in response.text
    assert not await is_signed_in(visitor)


async def test_who_is_not_signed_in_is_told_so(world: World) -> None:
    stranger = world.visitor(await world.acme.make_client())
    for parameters in ({}, {"state": "x"}, {"post_logout_redirect_uri": SIGNED_OUT}):
        response = await leave(stranger, **parameters)
        assert response.status_code == 200
        assert "You are signed out" in response.text


async def test_a_hint_and_another_client_contradict(world: World) -> None:
    visitor, token, _ = await signed_in(world)
    other = await world.acme.make_client()
    assert (await leave(visitor, id_token_hint=token, client_id=other)).status_code == 400
    assert (await leave(visitor, client_id="nobody")).status_code == 400
    assert await is_signed_in(visitor)


async def test_logout_may_be_a_form_and_an_expired_hint_still_counts(world: World) -> None:
    visitor, token, _ = await signed_in(world)
    world.clock.move(100_000)
    form = {"id_token_hint": token, "post_logout_redirect_uri": SIGNED_OUT}
    assert (await visitor.http.post("/oidc/logout", data=form)).headers["location"] == SIGNED_OUT
    assert not await is_signed_in(visitor)


async def test_the_questions_answer_needs_its_token_and_its_origin(world: World) -> None:
    visitor, _, _ = await signed_in(world)
    await visitor.browser.open("/oidc/logout")
    (form,) = visitor.browser.forms()
    data = form.fields | {"decision": "logout"}
    cross = await visitor.http.post("/u/logout", data=data, headers={"Origin": "https://evil.example"})
    assert cross.status_code == 403
    for wrong in ({"form_token": "x"}, {"state": "client_id=x"}):
        assert (await visitor.http.post("/u/logout", data=data | wrong)).status_code == 403
    assert await is_signed_in(visitor)


async def test_refresh_families_end_with_the_session_unless_the_client_keeps_them(world: World) -> None:
    for kept in (False, True):
        visitor = world.visitor(await world.acme.make_client(refresh_token={"keep_after_logout": kept}))
        email = f"ada{kept}@example.com".lower()
        await world.acme.make_user(email)
        answer = await visitor.log_in(email, scope="openid offline_access")
        tokens = (await visitor.redeem(answer["code"])).json()
        await leave(visitor, id_token_hint=tokens["id_token"])
        refreshed = await visitor.http.post(
            "/oauth/token",
            data={
                "grant_type": "refresh_token",
                "refresh_token": tokens["refresh_token"],
                "client_id": visitor.client_id,
            },
        )
        assert refreshed.status_code == (200 if kept else 400)


async def test_logging_out_is_logged_once_and_leaves_other_tenants_alone(world: World) -> None:
    visitor, token, _ = await signed_in(world)
    await world.globex.make_user()
    there = world.visitor(await world.globex.make_client(), world.globex)
    await there.log_in()
    response = await leave(visitor, id_token_hint=token)
    cleared = response.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cleared] == [
        "keystead_session",
        "better-auth.session_token",
    ]
    assert all("Domain" not in cookie and "Max-Age=0" in cookie for cookie in cleared)
    await leave(visitor, id_token_hint=token)
    assert len(await world.acme.run("SELECT id FROM log_events WHERE type = 'slo'")) == 1
    assert await is_signed_in(there)


async def test_auth0s_logout_returns_to_registered_addresses_only(world: World) -> None:
    visitor, _, _ = await signed_in(world)
    bad = await visitor.http.get(
        "/v2/logout", params={"client_id": visitor.client_id, "returnTo": "https://evil.example"}
    )
    assert bad.status_code == 400
    assert await is_signed_in(visitor)
    anonymous = await visitor.http.get("/v2/logout", params={"returnTo": SIGNED_OUT})
    assert anonymous.status_code == 400
    image = await visitor.http.get("/v2/logout", headers={"Sec-Fetch-Dest": "image"})
    assert image.status_code == 200
    assert await is_signed_in(visitor)
    wanted = {"client_id": visitor.client_id, "returnTo": SIGNED_OUT, "federated": ""}
    response = await visitor.http.get("/v2/logout", params=wanted)
    assert response.headers["location"] == SIGNED_OUT
    assert not await is_signed_in(visitor)
    assert "You are signed out" in (await visitor.http.get("/v2/logout")).text


async def test_a_tenants_own_logout_addresses_need_no_client(world: World) -> None:
    visitor, _, _ = await signed_in(world)
    await world.acme.set("allowed_logout_urls", ["https://acme.example.com/bye"])
    response = await visitor.http.get("/v2/logout", params={"returnTo": "https://acme.example.com/bye"})
    assert response.headers["location"] == "https://acme.example.com/bye"


@pytest.mark.parametrize("way", ["/oidc/logout", "/v2/logout"])
@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_code_not_yet_redeemed_is_withdrawn(world: World, way: str, is_kept: bool) -> None:
    """Also where refresh tokens outlive the logout: who is away has not let anybody in anew."""
    visitor = world.visitor(await world.acme.make_client(refresh_token={"keep_after_logout": is_kept}))
    await world.acme.make_user()
    first = await visitor.log_in(scope="openid offline_access")
    hint = (await visitor.redeem(first["code"])).json()["id_token"]
    code = (await visitor.silent())["code"]
    await visitor.http.get(way, params={"id_token_hint": hint})
    refused = await visitor.redeem(code)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_grant"
    assert (await visitor.redeem(code)).status_code == 400


async def test_a_code_of_a_session_that_another_person_replaced_is_withdrawn(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await world.acme.make_user("eve@example.com")
    code = (await visitor.log_in())["code"]
    await visitor.log_in("eve@example.com", prompt="login")
    assert (await visitor.redeem(code)).json()["error"] == "invalid_grant"
