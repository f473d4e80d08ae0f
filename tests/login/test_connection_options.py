"""What a database connection's options say, its log-in does; what would weaken it, they do not."""

import json
from typing import Any

import pytest

from tests.login.world import Visitor, World

pytestmark = pytest.mark.anyio

WORDS = "seven unrelated words"


async def visitor_with(world: World, **options: Any) -> Visitor:
    said = "UPDATE connections SET options = :options WHERE id = 'con_users'"
    await world.acme.run(said, options=json.dumps(options))
    return world.visitor(await world.acme.make_client())


async def signs_up(visitor: Visitor, password: str, email: str) -> bool:
    await visitor.open(screen_hint="signup")
    answer = await visitor.browser.submit({"email": email, "name": "New", "password": password})
    return answer.status_code != 400


PASSWORDS: list[tuple[dict[str, Any], str, bool]] = [
    ({}, "short7x", False),
    ({"password_complexity_options": {"min_length": 1}}, "short7x", False),
    ({"passwordPolicy": "none"}, "short7x", False),
    ({"passwordPolicy": "excellent"}, "nine9char", False),
    ({"passwordPolicy": "excellent"}, "ten10chars", True),
    ({"passwordPolicy": "excellent"}, "all lower case words", True),
    ({"password_complexity_options": {"min_length": 15}}, "fourteen chars", False),
    ({"password_complexity_options": {"min_length": 15}}, "fifteen charsss", True),
    ({"password_dictionary": {"enable": True, "dictionary": ["Gigantosaur"]}}, "gigantosaur7!", False),
    ({"password_dictionary": {"enable": False, "dictionary": ["Gigantosaur"]}}, "gigantosaur7!", True),
    ({"password_dictionary": {"enable": False}}, "Password123!", False),
    ({"password_no_personal_info": {"enable": False}}, "new@example.com", False),
    ({"passwordPolicy": 7, "disable_signup": "no"}, WORDS, True),  # rows of another release
]


async def test_a_password_is_as_long_as_asked_and_never_shorter_than_it_must(world: World) -> None:
    for number, (options, password, is_taken) in enumerate(PASSWORDS):
        visitor = await visitor_with(world, **options)
        email = password if "@" in password else f"new{number}@example.com"
        assert await signs_up(visitor, password, email) is is_taken, (options, password)
    made = await world.acme.run("SELECT user_id FROM users")
    assert len(made) == sum(is_taken for *_, is_taken in PASSWORDS)


@pytest.mark.parametrize("options", [{"disable_signup": True}, {"requires_username": True}])
async def test_a_connection_may_take_no_new_accounts_by_its_page(
    world: World, options: dict[str, bool]
) -> None:
    visitor = await visitor_with(world)
    await visitor.open(screen_hint="signup")
    page = visitor.browser.response
    assert page is not None
    await visitor_with(world, **options)
    body = {"email": "new@example.com", "name": "New", "password": WORDS}
    assert (await visitor.browser.submit(body)).status_code == 400
    assert await world.acme.run("SELECT user_id FROM users") == []
    assert (await visitor.http.get(page.url)).headers["location"].startswith("/u/login/identifier")
    assert "/u/signup" not in (await visitor.open()).text


async def test_a_connection_may_have_its_passwords_changed_elsewhere(world: World) -> None:
    visitor = await visitor_with(world, disable_self_service_change_password=True)
    await world.acme.make_user()
    await visitor.open()
    page = await visitor.browser.submit({"email": "ada@example.com"})
    assert "/u/reset-password" not in page.text
    state = page.url.params["state"]
    answer = await visitor.http.get("/u/reset-password/request", params={"state": state})
    assert answer.headers["location"].startswith("/u/login/identifier")


@pytest.mark.parametrize("is_protected", [True, False])
async def test_accounts_that_are_protected_elsewhere_are_not_slowed_down(
    world: World, is_protected: bool
) -> None:
    visitor = await visitor_with(world, brute_force_protection=is_protected)
    await world.acme.make_user()
    await visitor.open()
    await visitor.browser.submit({"email": "ada@example.com"})
    for _ in range(12):
        await visitor.browser.submit({"password": "wrong"})
    answer = await visitor.browser.submit({"password": "correct horse"})
    assert (visitor.browser.landed is not None, answer.status_code == 429) == (not is_protected, is_protected)
