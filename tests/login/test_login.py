"""Signing in: one answer for every failure, one session per login, one browser per request."""

import asyncio
import re

import pytest

from tests.login.world import CALLBACK, Visitor, World, answer_of

pytestmark = pytest.mark.anyio

ACME = "http://acme.localhost:8000"


async def at_password(world: World, client: str, email: str) -> Visitor:
    visitor = world.visitor(client)
    await visitor.open()
    await visitor.browser.submit({"email": email})
    return visitor


def without_tokens(text: str, email: str) -> str:
    return re.sub(r"[\w-]{43}", "T", text).replace("<wbr>", "").replace(email, "E")


async def events(world: World, kind: str) -> int:
    await world.services.audit.flush()
    return (await world.acme.run("SELECT count(*) FROM log_events WHERE type = :t", t=kind))[0][0]


async def test_unknown_wrong_and_blocked_are_one_answer(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user("ada@example.com")
    await world.acme.make_user("abe@example.com", blocked=True)
    answers = set()
    for email, password in (
        ("ada@example.com", "wrong"), ("ann@example.com", "wrong"), ("abe@example.com", "correct horse"),
        ("abe@example.com", "wrong"), ("ada@example.com", "x" * 4000),
    ):  # fmt: skip
        visitor = await at_password(world, client, email)
        response = await visitor.browser.submit({"password": password})
        answers.add((response.status_code, without_tokens(response.text, email)))
        assert visitor.session() is None
    assert len(answers) == 1
    assert (await events(world, "fp"), await events(world, "fu"), await events(world, "s")) == (4, 1, 0)


async def test_an_unknown_user_costs_the_work_of_a_known_one(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user("ada@example.com")
    calls: list[str | None] = []
    verify = world.services.passwords.verify

    async def counted(hashed: str | None, password: str, *, tenant: str = "") -> bool:
        calls.append(hashed)
        return await verify(hashed, password, tenant=tenant)

    object.__setattr__(world.services.passwords, "verify", counted)
    for email in ("ada@example.com", "nob@example.com"):
        visitor = await at_password(world, client, email)
        await visitor.browser.submit({"password": "wrong"})
    assert calls[0] is not None
    assert calls[1] is None
    assert len(calls) == 2


async def test_a_blocked_account_stays_blocked_and_an_unverified_one_signs_in(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await world.acme.run("UPDATE users SET email_verified = false")
    assert "code" in await visitor.log_in()


async def test_letter_case_does_not_matter_and_nothing_else_is_folded(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user("kim@example.com")
    assert "code" in await world.visitor(client).log_in(" KIM@Example.COM ")
    for other in ("\u212aim@example.com", "k.im@example.com", "kim+x@example.com"):
        assert "code" not in await world.visitor(client).log_in(other)


async def test_malformed_addresses_are_told_so(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open()
    for wrong in ("", "ada", "@", "a@", "@b", "a@b@c", "a b@c.de", "a@b..c", "x" * 300 + "@example.com"):
        response = await visitor.browser.submit({"email": wrong})
        assert response.status_code == 400, wrong
    response = await visitor.browser.submit({"email": "a@" + "a." * 12_000})
    assert response.status_code == 400


async def test_a_hundred_wrong_passwords_slow_down_one_account_in_one_tenant(world: World) -> None:
    client = await world.acme.make_client()
    ada = await world.acme.make_user("ada@example.com")
    await world.acme.make_user("bob@example.com")
    theirs = await world.globex.make_client()
    await world.globex.make_user("ada@example.com")
    for email in ("ada@example.com", "nob@example.com"):
        visitor = await at_password(world, client, email)
        page = visitor.browser.response
        statuses = []
        for number in range(30):
            visitor.browser.response = page
            visitor.http.headers["X-Forwarded-For"] = f"10.0.0.{number}"
            response = await visitor.browser.submit({"password": f"wrong {number}"})
            statuses.append(response.status_code)
        assert statuses == [400] * 10 + [429] * 20, email
        assert response.headers["retry-after"] == "60"
    assert (await world.visitor(client).log_in()) == {}  # the right one too, for a moment
    assert "code" in await world.visitor(client).log_in("bob@example.com")
    assert "code" in await world.visitor(theirs, world.globex).log_in()
    world.clock.move(61)
    assert "code" in await world.visitor(client).log_in()
    left = await world.acme.run("SELECT ip, failures FROM login_attempts WHERE user_id = :ada", ada=ada)
    assert [tuple(row) for row in left] == [(None, 10)], (
        "what was counted from everywhere is not hers to forget"
    )


async def test_attempts_at_once_are_counted_before_they_are_looked_at(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user()
    visitor = await at_password(world, client, "ada@example.com")
    form = visitor.browser.forms()[0]

    async def attempt(number: int) -> int:
        data = form.fields | {"password": f"wrong {number}"}
        return (await visitor.http.post(form.action, data=data, headers={"Origin": ACME})).status_code

    statuses = await asyncio.gather(*(attempt(number) for number in range(40)))
    assert sorted(statuses) == [400] * 10 + [429] * 30


async def test_a_new_secret_at_every_login_and_the_planted_one_is_dead(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user()
    visitor = world.visitor(client)
    visitor.http.cookies.set("keystead_session", "p" * 43, domain="acme.localhost", path="/")
    await visitor.log_in()
    first = visitor.http.cookies.get("keystead_session", domain="acme.localhost")
    assert first not in (None, "p" * 43)
    await visitor.log_in(prompt="login")
    second = visitor.http.cookies.get("keystead_session", domain="acme.localhost")
    assert second != first
    other = world.visitor(client)
    for dead in ("p" * 43, first):
        other.http.headers["Cookie"] = f"keystead_session={dead}"
        assert (await other.silent())["error"] == "login_required"
    other.http.headers["Cookie"] = f"keystead_session={second}"
    assert "code" in await other.silent()
    assert len(await world.acme.run("SELECT id FROM sessions")) == 1


async def test_both_cookies_are_host_only_and_name_one_row(world: World) -> None:
    visitor = await at_password(world, await world.acme.make_client(), "ada@example.com")
    await world.acme.make_user()
    form = visitor.browser.forms()[0]
    response = await visitor.http.post(form.action, data=form.fields | {"password": "correct horse"})
    assert response.status_code == 303
    cookies = response.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [
        "keystead_session",
        "better-auth.session_token",
    ]
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "Domain" not in cookie
        assert "samesite=lax" in cookie.lower()
        assert "Path=/" in cookie


async def test_a_cookie_that_comes_twice_is_none(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    secret = visitor.session()
    other = world.visitor(visitor.client_id)
    other.http.headers["Cookie"] = f"keystead_session={secret}; keystead_session={secret}"
    assert (await other.silent())["error"] == "login_required"


async def test_a_session_of_one_tenant_is_nothing_at_another(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    there = world.visitor(await world.globex.make_client(), world.globex)
    there.http.headers["Cookie"] = f"keystead_session={visitor.session()}"
    assert (await there.silent())["error"] == "login_required"


async def test_a_request_works_only_in_the_browser_that_began_it_and_only_once(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user()
    visitor = await at_password(world, client, "ada@example.com")
    state = visitor.browser.response.url.params["state"]
    stranger = world.visitor(client)
    await stranger.open()
    for path in (
        "/u/login/identifier",
        "/u/login/password",
        "/u/signup",
        "/u/organization",
        "/u/organization/join",
        "/u/consent",
    ):
        assert (await stranger.http.get(path, params={"state": state})).status_code == 400
        assert (await world.http(world.globex).get(path, params={"state": state})).status_code == 400
    assert (await stranger.http.get("/authorize/resume", params={"state": state})).status_code == 400
    await visitor.browser.submit({"password": "correct horse"})
    assert visitor.browser.landed
    for path in ("/authorize/resume", "/u/login/password"):
        again = await visitor.http.get(path, params={"state": state})
        assert again.status_code == 400
        assert "location" not in again.headers


async def test_two_arrivals_at_once_get_one_code(world: World) -> None:
    await world.acme.make_user()
    visitor = await at_password(world, await world.acme.make_client(), "ada@example.com")
    form = visitor.browser.forms()[0]
    done = await visitor.http.post(form.action, data=form.fields | {"password": "correct horse"})
    resumed = await asyncio.gather(*(visitor.http.get(done.headers["location"]) for _ in range(10)))
    assert sorted(response.status_code for response in resumed) == [302] + [400] * 9
    assert len(await world.acme.run("SELECT digest FROM authorization_codes")) == 1


async def test_a_request_does_not_wait_for_ever(world: World) -> None:
    visitor = await at_password(world, await world.acme.make_client(), "ada@example.com")
    world.clock.move(3601)
    response = await visitor.browser.submit({"password": "correct horse"})
    assert response.status_code == 400
    assert visitor.session() is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://acme.localhost:8000.evil"},
        {"Origin": "http://acme.localhost"}, {"Origin": "http://globex.localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
async def test_a_form_of_another_site_is_refused(world: World, headers: dict[str, str]) -> None:
    await world.acme.make_user()
    visitor = await at_password(world, await world.acme.make_client(), "ada@example.com")
    form = visitor.browser.forms()[0]
    response = await visitor.http.post(
        form.action, data=form.fields | {"password": "correct horse"}, headers=headers
    )
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_a_form_needs_the_token_of_its_own_page_and_browser(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user()
    visitor = await at_password(world, client, "ada@example.com")
    other = await at_password(world, client, "ada@example.com")
    form, foreign = visitor.browser.forms()[0], other.browser.forms()[0]
    await visitor.browser.open("/u/login/identifier", state=form.fields["state"])
    elsewhere = visitor.browser.forms()[0].fields["form_token"]
    for token in ("", "x", "é", foreign.fields["form_token"], elsewhere):
        data = form.fields | {"form_token": token, "password": "correct horse"}
        response = await visitor.http.post(form.action, data=data, headers={"Origin": ACME})
        assert response.status_code == 403, token
    stolen = await other.http.post(form.action, data=form.fields | {"password": "correct horse"})
    assert stolen.status_code == 403
    assert other.session() is None


async def test_steps_do_nothing_by_get(world: World) -> None:
    visitor = await at_password(world, await world.acme.make_client(), "ada@example.com")
    form = visitor.browser.forms()[0]
    await world.acme.make_user()
    response = await visitor.http.get(form.action, params=form.fields | {"password": "correct horse"})
    assert response.status_code == 200
    assert visitor.session() is None
    assert (await visitor.http.get("/u/logout")).status_code == 405


async def test_another_person_ends_the_first_ones_session(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await world.acme.make_user("bob@example.com")
    answer = await visitor.log_in(scope="openid offline_access")
    refresh = (await visitor.redeem(answer["code"])).json()["refresh_token"]
    await visitor.log_in("bob@example.com", prompt="login")
    ended = await world.acme.run(
        "SELECT ended_at IS NOT NULL FROM sessions ORDER BY created_at, ended_at IS NULL"
    )
    assert [row[0] for row in ended] == [1, 0]
    refused = await visitor.http.post(
        "/oauth/token",
        data={"grant_type": "refresh_token", "refresh_token": refresh, "client_id": visitor.client_id},
    )
    assert refused.json()["error"] == "invalid_grant"


async def test_a_password_changed_or_a_user_blocked_during_the_hash_counts(world: World) -> None:
    client = await world.acme.make_client()
    await world.acme.make_user()
    verify = world.services.passwords.verify

    async def interrupted(hashed: str | None, password: str, *, tenant: str = "") -> bool:
        matches = await verify(hashed, password, tenant=tenant)
        await world.acme.run("UPDATE users SET blocked = true")
        return matches

    object.__setattr__(world.services.passwords, "verify", interrupted)
    assert await world.visitor(client).log_in() == {}
    assert await world.acme.run("SELECT id FROM sessions") == []


async def test_third_party_clients_ask_for_consent_once(world: World) -> None:
    from tests.login.world import API

    user = await world.acme.make_user()
    organization = await world.acme.make_organization("one", user)
    visitor = world.visitor(await world.acme.make_client(is_first_party=False))
    wanted = {"scope": "openid read:orders", "audience": API, "organization": organization}
    await visitor.log_in(**wanted)
    page = visitor.browser.response
    assert page.url.path == "/u/consent"
    assert "Read your orders" in page.text
    assert (await visitor.silent(**wanted))["error"] == "consent_required"
    await visitor.browser.submit(button=("decision", "allow"))
    assert "code" in visitor.browser.parameters()
    assert "code" in await visitor.silent(**wanted)
    assert (await visitor.silent(scope="openid"))["error"] == "consent_required"
    more = await visitor.silent(**(wanted | {"scope": "openid read:orders email"}))
    assert more["error"] == "consent_required"
    await visitor.open(**(wanted | {"scope": "openid email"}))
    await visitor.browser.submit(button=("decision", "anything else"))
    assert visitor.browser.parameters()["error"] == "access_denied"
    assert len(await world.acme.run("SELECT id FROM grants")) == 1


async def test_a_code_knows_when_and_how_the_person_signed_in(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.log_in()
    (row,) = await world.acme.run(
        "SELECT amr, redirect_uri, expires_at - created_at FROM authorization_codes"
    )
    assert tuple(row) == ('["pwd"]', CALLBACK, 60_000)
    logged = await world.acme.run("SELECT logins_count, last_ip FROM users")
    assert tuple(logged[0]) == (1, "192.0.2.1")
    assert answer_of(await visitor.authorize())["iss"] == f"{ACME}/"


async def test_the_pages_style_sheet_is_served_and_nothing_else_is(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    page = await visitor.open()
    found = re.search(r'href="(/u/static/[^"]+)"', page.text)
    assert found
    sheet = await visitor.http.get(found[1])
    assert sheet.status_code == 200
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in sheet.headers["cache-control"]
    for other in ("/u/static/x.css", "/u/static/..%2f__init__.py"):
        assert (await visitor.http.get(other)).status_code == 404
