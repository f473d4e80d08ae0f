"""OAuth 2.0 Multiple Response Types, Form Post Response Mode, web_message, and `iss` in every answer (RFC 9207)."""

import html
import json
import re

import httpx
import pytest

from tests.login.world import CALLBACK, World, answer_of

pytestmark = pytest.mark.anyio

ISSUER = "http://acme.localhost:8000/"


def message_of(response: httpx.Response) -> dict[str, object]:
    found = re.search(r'<script[^>]*id="message"[^>]*>(.*?)</script>', response.text, re.DOTALL)
    assert found, response.text
    message: dict[str, object] = json.loads(html.unescape(found[1]))
    return message


async def test_query_and_fragment_put_the_answer_where_they_say(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    by_query = (await visitor.authorize(prompt="none")).headers["location"]
    by_fragment = (await visitor.authorize(prompt="none", response_mode="fragment")).headers["location"]
    assert by_query.startswith(CALLBACK + "?code=")
    assert by_fragment.startswith(CALLBACK + "#code=")
    for mode in ("query", "fragment"):
        answer = answer_of(await visitor.authorize(prompt="none", response_mode=mode))
        assert set(answer) == {"code", "state", "iss"}
        assert (answer["state"], answer["iss"]) == ("s t&te", ISSUER)


async def test_a_query_that_is_registered_is_kept(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client(callbacks=[CALLBACK + "?a=b"]))
    response = await visitor.authorize(redirect_uri=CALLBACK + "?a=b", prompt="none")
    assert response.headers["location"].startswith(CALLBACK + "?a=b&error=login_required")


async def test_without_state_none_comes_back(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert "state" not in answer_of(await visitor.authorize(prompt="none", state=None))


async def test_form_post_posts_and_shows_nothing_in_the_address(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.open(response_mode="form_post")
    await visitor.browser.submit({"email": "ada@example.com"})
    response = await visitor.browser.submit({"password": "correct horse"})
    assert response.status_code == 200
    (form,) = visitor.browser.forms()
    assert (form.action, form.method) == (CALLBACK, "post")
    assert set(form.fields) == {"code", "state", "iss"}
    failed = await visitor.http.get(
        "/authorize", params=visitor.parameters(scope='"', response_mode="form_post")
    )
    assert "invalid_scope" in failed.text


async def test_web_message_goes_to_the_exact_origin_and_may_be_framed_by_the_client_alone(
    world: World,
) -> None:
    origins = ["https://app.example.com/", "https://other.example.com"]
    visitor = world.visitor(await world.acme.make_client(web_origins=origins))
    await world.acme.make_user()
    await visitor.log_in()
    response = await visitor.authorize(prompt="none", response_mode="web_message")
    message = message_of(response)
    assert message["origin"] == "https://app.example.com"
    assert message["data"]["type"] == "authorization_response"  # type: ignore[index]
    assert set(message["data"]["response"]) == {"code", "state", "iss"}  # type: ignore[index]
    policy = response.headers["content-security-policy"]
    assert "frame-ancestors https://app.example.com https://other.example.com" in policy
    assert "x-frame-options" not in response.headers


async def test_an_error_is_posted_too(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    response = await visitor.authorize(prompt="none", response_mode="web_message")
    answer = message_of(response)["data"]["response"]  # type: ignore[index]
    assert answer["error"] == "login_required"
    assert answer["state"] == "s t&te"
    assert answer["iss"] == ISSUER


async def test_web_message_to_an_origin_that_is_not_registered_is_a_page(world: World) -> None:
    for origins in (
        [],
        ["https://evil.example"],
        ["https://app.example.com.evil"],
        ["*"],
        ["http://app.example.com"],
    ):
        visitor = world.visitor(await world.acme.make_client(web_origins=origins))
        response = await visitor.authorize(prompt="none", response_mode="web_message")
        assert response.status_code == 400
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "postMessage" not in response.text


async def test_every_other_page_may_be_framed_by_nobody(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    page = await visitor.open()
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


async def test_an_unknown_mode_is_refused_by_redirect(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    assert answer_of(await visitor.authorize(response_mode="okp"))["error"] == "invalid_request"


async def test_a_form_for_an_address_that_takes_none_is_refused_by_redirect(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client(callbacks=["com.example.app:/cb"]))
    response = await visitor.authorize(redirect_uri="com.example.app:/cb", response_mode="form_post")
    assert answer_of(response)["error"] == "invalid_request"
    assert response.headers["location"].startswith("com.example.app:/cb?error=")


async def test_an_unforeseen_error_still_reaches_the_client(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    await world.acme.run("ALTER TABLE authorization_codes RENAME TO gone")
    answer = await visitor.silent()
    assert answer["error"] == "server_error"
    assert "gone" not in answer["error_description"]
    assert "authorization_codes" not in answer["error_description"]
