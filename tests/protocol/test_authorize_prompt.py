"""OpenID Connect Core 1.0, section 3.1.2: prompt, max_age and id_token_hint."""

import pytest

from core.crypto import jwt
from core.crypto.keys import SigningKey
from tests.login.world import Visitor, World, answer_of, claims_of

pytestmark = pytest.mark.anyio


async def id_token(visitor: Visitor, code: str) -> str:
    response = await visitor.redeem(code)
    assert response.status_code == 200, response.text
    token: str = response.json()["id_token"]
    return token


async def signed_in(world: World) -> tuple[Visitor, str]:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    answer = await visitor.log_in()
    return visitor, await id_token(visitor, answer["code"])


async def test_without_a_session_prompt_none_is_login_required(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert (await visitor.silent())["error"] == "login_required"


async def test_with_a_session_no_page_is_shown_and_nothing_of_the_login_changes(world: World) -> None:
    visitor, first = await signed_in(world)
    world.clock.move(100)
    for changes in ({"prompt": "none"}, {}, {"max_age": "10000"}):
        answer = answer_of(await visitor.authorize(**changes))
        again = claims_of(await id_token(visitor, answer["code"]))
        assert (again["sub"], again["auth_time"]) == (claims_of(first)["sub"], claims_of(first)["auth_time"])
        assert again["sid"] == claims_of(first)["sid"]


@pytest.mark.parametrize(
    "changes", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}, {"max_age": "1"}]
)
async def test_the_login_is_asked_again_and_auth_time_moves_on(world: World, changes: dict[str, str]) -> None:
    visitor, first = await signed_in(world)
    world.clock.move(2)
    page = await visitor.open(**changes)
    assert page.url.path == "/u/login/identifier"
    answer = await visitor.log_in(**changes)
    again = claims_of(await id_token(visitor, answer["code"]))
    assert again["auth_time"] == claims_of(first)["auth_time"] + 2
    assert again["sid"] == claims_of(first)["sid"]


async def test_a_session_that_is_too_old_is_login_required_under_none(world: World) -> None:
    visitor, _ = await signed_in(world)
    world.clock.move(10)
    assert "code" in await visitor.silent(max_age="11")
    assert (await visitor.silent(max_age="10"))["error"] == "login_required"
    assert (await visitor.silent(max_age="0"))["error"] == "login_required"


async def test_a_login_counts_for_the_request_it_was_asked_by_only(world: World) -> None:
    visitor, _ = await signed_in(world)
    await visitor.open(prompt="login")
    asked = visitor.browser.response
    assert asked is not None
    state = asked.url.params["state"]
    resumed = await visitor.http.get("/authorize/resume", params={"state": state})
    assert resumed.headers["location"].startswith("/u/login/identifier")


async def test_prompt_create_and_the_screen_hint_open_the_sign_up(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    for changes in ({"prompt": "create"}, {"screen_hint": "signup"}):
        assert (await visitor.open(**changes)).url.path == "/u/signup"


async def test_the_login_hint_fills_the_field(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open(login_hint="ada@example.com")
    assert visitor.browser.forms()[0].fields["email"] == "ada@example.com"


async def test_a_hint_of_the_same_person_is_silent(world: World) -> None:
    visitor, token = await signed_in(world)
    world.clock.move(200_000)
    assert "code" in await visitor.silent(id_token_hint=token)


async def test_a_hint_of_another_person_is_login_required(world: World) -> None:
    visitor, token = await signed_in(world)
    await world.acme.make_user("bob@example.com")
    other = world.visitor(visitor.client_id)
    await other.log_in("bob@example.com")
    assert (await other.silent(id_token_hint=token))["error"] == "login_required"
    page = await other.open(id_token_hint=token)
    assert page.url.path == "/u/login/identifier"
    refused = await other.log_in("bob@example.com", id_token_hint=token)
    assert refused["error"] == "login_required"
    assert "code" in await other.log_in("ada@example.com", id_token_hint=token)


async def test_the_subject_may_be_asked_for_as_a_claim(world: World) -> None:
    visitor, token = await signed_in(world)
    sub = claims_of(token)["sub"]
    asks = '{"id_token": {"sub": {"value": "%s"}}}'
    assert "code" in await visitor.silent(claims=asks % sub)
    assert (await visitor.silent(claims=asks % "auth0|other"))["error"] == "login_required"


async def test_only_an_id_token_of_this_issuer_for_this_client_is_a_hint(world: World) -> None:
    visitor, token = await signed_in(world)
    claims = claims_of(token)
    key, stranger = world.acme.signing, SigningKey.generate("RS256")
    header, payload, _ = token.split(".")
    access = jwt.sign(claims, key, typ="at+jwt")
    bad = [
        "x", "e30.e30.e30", f"eyJhbGciOiJub25lIn0.{payload}.", f"{header}.{payload}.AAAA", access,
        jwt.sign(claims, stranger, typ="JWT"), jwt.sign(claims, key, typ="logout+jwt"),
        jwt.sign(claims | {"iss": world.globex.tenant.issuer}, key, typ="JWT"),
        jwt.sign(claims | {"iss": [claims["iss"]]}, key, typ="JWT"),
        jwt.sign(claims | {"aud": "other"}, key, typ="JWT"),
        jwt.sign(claims | {"aud": [claims["aud"], "other"]}, key, typ="JWT"),
        jwt.sign(claims | {"sub": ["x"]}, key, typ="JWT"), jwt.sign(claims | {"sub": ""}, key, typ="JWT"),
        jwt.sign(claims, world.globex.signing, typ="JWT"), "a" * 20_000,
    ]  # fmt: skip
    for hint in bad:
        assert (await visitor.silent(id_token_hint=hint))["error"] == "invalid_request", hint[:40]


async def test_consent_is_asked_again_with_prompt_consent(world: World) -> None:
    visitor, _ = await signed_in(world)
    page = await visitor.open(prompt="consent")
    assert page.url.path == "/u/consent"
    await visitor.browser.submit(button=("decision", "allow"))
    assert "code" in visitor.browser.parameters()
    await visitor.open(prompt="consent")
    await visitor.browser.submit(button=("decision", "deny"))
    assert visitor.browser.parameters()["error"] == "access_denied"


async def test_a_blocked_user_has_no_session_at_once(world: World) -> None:
    visitor, _ = await signed_in(world)
    await world.acme.run("UPDATE users SET blocked = true")
    assert (await visitor.silent())["error"] == "login_required"
    await world.acme.run("UPDATE users SET blocked = FALSE, sessions_valid_from = :t", t=world.acme.ms + 1)
    assert (await visitor.silent())["error"] == "login_required"


async def test_sessions_end_by_idleness_and_by_age(world: World) -> None:
    visitor, _ = await signed_in(world)
    await world.acme.set("idle_session_lifetime", 2)
    await world.acme.set("session_lifetime", 5)
    await visitor.log_in(prompt="login")
    for _ in range(4):
        world.clock.move(3600)
        assert "code" in await visitor.silent()
    world.clock.move(3599)
    assert "code" in await visitor.silent()
    world.clock.move(2)
    assert (await visitor.silent())["error"] == "login_required"
    await visitor.log_in()
    world.clock.move(7201)
    assert (await visitor.silent())["error"] == "login_required"
