"""A tenant on https, as it is in production: the whole way with prefixed cookies."""

import pytest

from tests.login.world import World, answer_of

pytestmark = pytest.mark.anyio


async def test_signing_in_switching_and_leaving_on_https(world: World) -> None:
    visitor = world.visitor(await world.secure.make_client(), world.secure)
    user = await world.secure.make_user()
    organization = await world.secure.make_organization("one", user)
    answer = await visitor.log_in()
    assert answer["iss"] == "https://id.example.com/"
    assert set(visitor.http.cookies) == {
        "__Host-keystead_session", "__Secure-better-auth.session_token", "__Host-keystead_login",
    }  # fmt: skip
    assert "code" in await visitor.silent(organization=organization)
    token = (await visitor.redeem(answer["code"])).json()["id_token"]
    await visitor.http.get("/oidc/logout", params={"id_token_hint": token})
    assert set(visitor.http.cookies) == {"__Host-keystead_login"}
    assert (await visitor.silent())["error"] == "login_required"


async def test_the_api_cookie_signs_nobody_in_at_authorize(world: World) -> None:
    visitor = world.visitor(await world.secure.make_client(), world.secure)
    await world.secure.make_user()
    await visitor.log_in()
    secret = visitor.http.cookies["__Host-keystead_session"]
    for name in ("__Secure-better-auth.session_token", "keystead_session", "better-auth.session_token"):
        other = world.visitor(visitor.client_id, world.secure)
        other.http.headers["Cookie"] = f"{name}={secret}"
        assert (await other.silent())["error"] == "login_required"


async def test_the_origin_of_a_form_includes_its_scheme(world: World) -> None:
    visitor = world.visitor(await world.secure.make_client(), world.secure)
    await visitor.open()
    form = visitor.browser.forms()[0]
    data = form.fields | {"email": "ada@example.com"}
    for origin, status in (("http://id.example.com", 403), ("https://id.example.com", 303)):
        response = await visitor.http.post(form.action, data=data, headers={"Origin": origin})
        assert response.status_code == status
    assert answer_of(response)["state"]


async def test_a_page_answers_with_every_protection(world: World) -> None:
    visitor = world.visitor(await world.secure.make_client(), world.secure)
    headers = (await visitor.open()).headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "form-action 'self' https:" in headers["content-security-policy"]


async def test_the_organization_api_gives_and_takes_prefixed_cookies_only(world: World) -> None:
    visitor = world.visitor(await world.secure.make_client(), world.secure)
    origin = {"Origin": "https://id.example.com"}
    body = {"name": "Ada", "email": "ada@example.com", "password": "seven unrelated words"}
    entry = await visitor.http.post("/api/auth/sign-up/email", json=body, headers=origin)
    assert entry.status_code == 200
    attributes = {
        header.partition("=")[0]: {part.lower() for part in header.split("; ")[1:]}
        for header in entry.headers.get_list("set-cookie")
    }
    same_site = {
        "__Host-keystead_session": "none",
        "__Secure-better-auth.session_token": "lax",
        "__Secure-better-auth.dont_remember": "lax",
    }
    assert attributes.keys() == same_site.keys()
    for name, found in attributes.items():
        assert {"httponly", "secure", "path=/", f"samesite={same_site[name]}"} <= found, name
        assert not any(part.startswith("domain") for part in found), name
    assert (await visitor.http.get("/api/auth/get-session")).json()["user"]["email"] == "ada@example.com"
    assert "code" in await visitor.silent()
    other = world.visitor(visitor.client_id, world.secure)
    other.http.headers["Cookie"] = (
        f"better-auth.session_token={visitor.http.cookies['__Secure-better-auth.session_token']}"
    )
    assert (await other.http.get("/api/auth/get-session")).text == "null"
    await visitor.http.post("/api/auth/sign-out", headers=origin)
    assert not {name for name in visitor.http.cookies if "session" in name}
