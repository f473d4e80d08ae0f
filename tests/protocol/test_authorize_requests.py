"""Bad inputs R: what is refused on a page, what by redirect, and what is never sent anywhere."""

import json
from typing import Any

import pytest

from tests.login.world import CALLBACK, World, answer_of

pytestmark = pytest.mark.anyio


def is_page(response: Any, status: int = 400) -> bool:
    text = response.headers["content-type"].startswith("text/html")
    return response.status_code == status and text and "location" not in response.headers


async def rows(world: World, table: str) -> int:
    return (await world.acme.run(f"SELECT count(*) FROM {table}"))[0][0]


WRONG_ADDRESSES = [
    "https://app.example.com/callback/x", "https://app.example.com/callbac", "https://app.example.com/callback?x=1",
    "https://app.example.com/callback/", "https://APP.example.com/callback", "https://app.example.com/Callback",
    "https://app.example.com/%63allback", "https://app.example.com/x/../callback",
    "https://app.example.com//callback", "https://app.example.com\\callback", "https://app.example.com@evil.example",
    "https://app.example.com/callback\t", "https://app.example.com/callback\n", "https://аpp.example.com/callback",
    "http://app.example.com/callback", "https://app.example.com:8443/callback", "https://app.example.com/callback#x",
    "https://user@app.example.com/callback", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
    "myapp:/callback", "//evil.example", "/callback", "https://evil.example/callback",
]  # fmt: skip


@pytest.mark.parametrize("address", WRONG_ADDRESSES)
async def test_another_address_than_the_registered_one_is_a_page(world: World, address: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert is_page(await visitor.authorize(redirect_uri=address))
    assert await rows(world, "authorization_requests") == 0


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "file:///x", "myapp:/cb", CALLBACK + "#x"]
)
async def test_a_dangerous_address_is_a_page_even_where_it_was_registered(world: World, address: str) -> None:
    visitor = world.visitor(await world.acme.make_client(callbacks=[address]))
    assert is_page(await visitor.authorize(redirect_uri=address))


async def test_the_port_of_a_loopback_address_is_free_for_native_clients_only(world: World) -> None:
    registered = ["http://127.0.0.1:9871/callback", "http://[::1]/callback", "com.example.app:/callback"]
    native = world.visitor(await world.acme.make_client(app_type="native", callbacks=registered))
    web = world.visitor(await world.acme.make_client(callbacks=registered))
    for address in (
        "http://127.0.0.1:50000/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:1234/callback",
    ):
        assert (await native.authorize(redirect_uri=address)).status_code == 302
        assert is_page(await web.authorize(redirect_uri=address))
    assert (await native.authorize(redirect_uri="com.example.app:/callback")).status_code == 302
    for address in (
        "http://127.0.0.1.evil/callback", "http://localhost.evil:9871/callback", "http://localhost:9871/callback",
        "http://127.0.0.1:50000/other", "https://127.0.0.1:50000/callback", "http://127.0.0.1:x/callback",
        "http://127.0.0.1:50000@evil/callback", "http://127.0.0.2:9871/callback",
    ):  # fmt: skip
        assert is_page(await native.authorize(redirect_uri=address)), address


async def test_without_an_address_the_only_registered_one_is_meant(world: World) -> None:
    one = world.visitor(await world.acme.make_client())
    two = world.visitor(await world.acme.make_client(callbacks=[CALLBACK, CALLBACK + "2"]))
    assert answer_of(await one.authorize(redirect_uri=None, prompt="none"))["error"] == "login_required"
    assert is_page(await two.authorize(redirect_uri=None))


@pytest.mark.parametrize("response_type", [None, "token", "id_token", "code id_token", "none", "x"])
async def test_the_client_and_its_address_are_checked_before_anything_travels(
    world: World, response_type: str | None
) -> None:
    visitor = world.visitor(await world.acme.make_client())
    wrong = "https://evil.example/callback"
    assert is_page(await visitor.authorize(response_type=response_type, redirect_uri=wrong, scope="profile"))
    answer = answer_of(await visitor.authorize(response_type=response_type))
    assert answer["error"] == ("invalid_request" if response_type is None else "unsupported_response_type")
    assert answer["state"] == "s t&te"
    assert "code" not in answer


async def test_an_unknown_client_and_one_of_another_tenant_are_the_same_page(world: World) -> None:
    theirs = await world.globex.make_client()
    for client in (theirs, "nobody", ""):
        response = await world.visitor(client).authorize()
        assert is_page(response)
        assert "The client is unknown." in response.text or client == ""


@pytest.mark.parametrize(
    "name", ["client_id", "redirect_uri", "state", "scope", "nonce", "prompt", "organization"]
)
async def test_no_parameter_may_come_twice(world: World, name: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    pairs = [*visitor.parameters(prompt="none", organization="org_x").items()]
    response = await visitor.http.get("/authorize", params=[*pairs, (name, dict(pairs)[name])])
    if name in ("client_id", "redirect_uri"):
        assert is_page(response)
        return
    answer = answer_of(response)
    assert answer["error"] == "invalid_request"
    assert answer.get("state") == (None if name == "state" else "s t&te")


async def test_a_request_may_come_as_a_form(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    response = await visitor.http.post("/authorize", data=visitor.parameters())
    assert response.status_code == 303
    assert response.headers["location"].startswith("/u/login/identifier?state=")
    assert (await visitor.http.post("/authorize", json=visitor.parameters())).status_code == 415


async def test_unknown_parameters_are_ignored_and_order_changes_nothing(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    parameters = visitor.parameters(**{"extra": "foobar", "ext-tracking": "x", "claims_locales": "se"})
    response = await visitor.http.get("/authorize", params=dict(reversed(parameters.items())))
    assert response.headers["location"].startswith("/u/login/identifier")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": "a"}, {"code_challenge": "a" * 42}, {"code_challenge": "a" * 129},
        {"code_challenge": "é" * 43}, {"code_challenge_method": "plain"}, {"code_challenge_method": None},
        {"code_challenge": None}, {"code_challenge_method": "s256"},
    ],
)  # fmt: skip
async def test_a_challenge_is_s256_or_the_request_is_refused(
    world: World, changes: dict[str, str | None]
) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(**changes))["error"] == "invalid_request"


async def test_a_confidential_client_may_be_excused_from_pkce(world: World) -> None:
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    confidential = {"token_endpoint_auth_method": "client_secret_basic"}
    strict = world.visitor(await world.acme.make_client(**confidential))
    excused = world.visitor(await world.acme.make_client(**confidential, require_pkce=False))
    public = world.visitor(await world.acme.make_client(require_pkce=False))
    assert answer_of(await strict.authorize(**without))["error"] == "invalid_request"
    assert answer_of(await public.authorize(**without))["error"] == "invalid_request"
    assert (await excused.authorize(**without)).headers["location"].startswith("/u/")
    assert answer_of(await excused.authorize(code_challenge_method="plain"))["error"] == "invalid_request"


async def test_a_request_object_is_never_ignored(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    for changes in ({"request": "e30.e30."}, {"request": "x"}, {"request_uri": "http://127.0.0.1/x"}):
        answer = answer_of(await visitor.authorize(**changes))
        assert (answer["error"], answer["state"]) == ("invalid_request_object", "s t&te")
    assert is_page(await visitor.authorize(request_uri="urn:ietf:params:oauth:request_uri:x"))
    assert await rows(world, "authorization_requests") == 0


@pytest.mark.parametrize("prompt", ["none login", "login none", "none none consent", "maybe"])
async def test_prompt_none_stands_alone(world: World, prompt: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(prompt=prompt))["error"] == "invalid_request"


@pytest.mark.parametrize("value", ["-1", "abc", "1e9", "1.5", "٣", "9" * 30])
async def test_max_age_is_a_number_of_seconds(world: World, value: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(max_age=value))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "scope", ["openid \x00", 'openid "', "openid \\", "openid\ttab", " ".join(map(str, range(1500)))]
)
async def test_a_malformed_or_endless_scope_is_refused(world: World, scope: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(scope=scope))["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "claims", ["x", "[]", "{", '{"userinfo": 1}', '{"id_token": {"name": 1}}', "{" * 5000]
)
async def test_malformed_claims_are_refused(world: World, claims: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(claims=claims))["error"] == "invalid_request"


async def test_claims_reach_the_code(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in(claims='{"userinfo": {"name": {"essential": true}, "x": null}, "other": 1}')
    (stored,) = await world.acme.run("SELECT claims FROM authorization_codes")
    assert json.loads(stored[0]) == {"userinfo": {"name": {"essential": True}, "x": None}}


@pytest.mark.parametrize(
    "name", ["state", "nonce", "login_hint", "ui_locales", "acr_values", "audience", "organization"]
)
async def test_endless_values_are_refused(world: World, name: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    answer = answer_of(await visitor.authorize(**{name: "x" * 8192}))
    assert answer["error"] == "invalid_request"
    assert answer.get("state") == (None if name == "state" else "s t&te")


HOSTILE = "\"'><script>alert(1)</script>\r\nSet-Cookie: x=1\r\n\r\n<p>é"


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post", "web_message"])
async def test_a_hostile_state_comes_back_whole_and_harmless(world: World, mode: str) -> None:
    visitor = world.visitor(await world.acme.make_client())
    response = await visitor.authorize(state=HOSTILE, response_mode=mode, prompt="none")
    assert "x" not in response.cookies
    if mode in ("query", "fragment"):
        assert answer_of(response)["state"] == HOSTILE
    else:
        assert "<script>alert" not in response.text


async def test_hostile_hints_are_shown_escaped(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    page = await visitor.open(login_hint=HOSTILE, ui_locales=HOSTILE, display="popup", acr_values="a b")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_client_without_the_code_grant_is_refused(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client(grant_types=["client_credentials"]))
    assert answer_of(await visitor.authorize())["error"] == "unauthorized_client"


async def test_an_unknown_audience_is_denied(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(audience="https://nobody.example/"))["error"] == "access_denied"


async def test_an_unknown_connection_or_an_invitation_is_refused(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(connection="Nobody"))["error"] == "invalid_request"
    assert (
        answer_of(await visitor.authorize(invitation="x", organization="org_x"))["error"] == "invalid_request"
    )
    assert (await visitor.authorize(connection="Users")).headers["location"].startswith("/u/")


async def test_what_is_refused_leaves_nothing_behind(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.authorize(scope='"')
    await visitor.authorize(redirect_uri="https://evil.example")
    await visitor.authorize(prompt="none")
    for table in ("authorization_requests", "authorization_codes", "sessions"):
        assert await rows(world, table) == 0
    assert not visitor.http.cookies


async def test_a_suspended_tenant_says_so_by_redirect_and_else_on_a_page(world: World) -> None:
    from dataclasses import replace

    from core.tenants import TenantState

    visitor = world.visitor(await world.acme.make_client())
    await visitor.open()
    page = str(visitor.browser.response.url)
    world.acme.tenant = replace(world.acme.tenant, state=TenantState.SUSPENDED)
    assert answer_of(await visitor.authorize())["error"] == "access_denied"
    assert is_page(await visitor.http.get(page), 403)
    assert is_page(await visitor.authorize(redirect_uri="https://evil.example"), 403)


async def test_no_answer_with_a_code_or_a_cookie_may_be_stored(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    begun = await visitor.authorize()
    assert begun.headers["cache-control"] == "no-store"
    await visitor.log_in()
    for mode in ("query", "fragment", "form_post", "web_message"):
        response = await visitor.authorize(prompt="none", response_mode=mode)
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("query", [b"client_id=%ff", b"&" * 200, b"client_id=a" + b"&x=y" * 200])
async def test_parameters_that_cannot_be_read_are_a_page(world: World, query: bytes) -> None:
    response = await world.http().get("/authorize?" + query.decode())
    assert is_page(response)
