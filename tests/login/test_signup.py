"""Making an account: what may be chosen, and that nothing can be claimed."""

import pytest

from tenant_runtime.login.password_rules import problem_of
from tests.login.world import World

pytestmark = pytest.mark.anyio


async def test_a_new_person_is_signed_in_at_once(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open(screen_hint="signup")
    await visitor.browser.submit(
        {
            "email": "New@Example.com", "password": "seven unrelated words", "name": "New",
            "email_verified": "true", "app_metadata": "{}", "blocked": "false", "user_id": "auth0|me",
        }
    )  # fmt: skip
    assert "code" in visitor.browser.parameters()
    (user,) = await world.acme.run("SELECT user_id, email, email_verified, name, app_metadata FROM users")
    assert user.user_id != "auth0|me"
    assert tuple(user)[1:] == ("new@example.com", 0, "New", "{}")
    kinds = [row[0] for row in await world.acme.run("SELECT type FROM log_events ORDER BY type")]
    assert kinds == ["s", "ss"]
    assert "code" in await world.visitor(visitor.client_id).log_in("new@example.com", "seven unrelated words")


async def test_a_taken_address_makes_nothing_and_signs_nobody_in(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await world.acme.make_user()
    await visitor.open(screen_hint="signup")
    response = await visitor.browser.submit({"email": "ADA@example.com", "password": "seven unrelated words"})
    assert response.status_code == 400
    assert visitor.session() is None
    assert len(await world.acme.run("SELECT user_id FROM users")) == 1


async def test_where_sign_up_is_closed_it_is(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open(screen_hint="signup")
    page = visitor.browser.response
    await world.acme.set("signup_enabled", False)
    assert (
        await visitor.browser.submit({"email": "x@y.de", "password": "seven unrelated words"})
    ).status_code == 400
    assert await world.acme.run("SELECT user_id FROM users") == []
    assert (await visitor.http.get(page.url)).headers["location"].startswith("/u/login/identifier")
    assert "/u/signup" not in (await visitor.open()).text


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "password_missing"), ("short", "password_short"), ("1234567", "password_short"),
        ("password", "password_common"), ("Password123!", "password_common"), ("12345678", "password_common"),
        ("QWERTYUIOP", "password_common"), ("aaaaaaaaaaaa", "password_common"), ("ada@example.com", "password_common"),
        ("letmein2024", "password_common"), ("x" * 4096, "password_long"), ("é" * 2048, "password_long"),
        ("plain old words", None), ("pässwörter sind lang", None), ("abc" * 21 + "de", None),
        ("日本語のパスワード", None),
    ],
)  # fmt: skip
def test_passwords_are_long_enough_and_not_guessed_first(password: str, problem: str | None) -> None:
    assert problem_of(password, "ada@example.com", "Ada") == problem


async def test_passwords_are_normalised_and_never_cut(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open(screen_hint="signup")
    composed, decomposed, long = "caf\u00e9 noir frais", "cafe\u0301 noir frais", "w o r d s " * 20
    await visitor.browser.submit({"email": "one@example.com", "password": composed})
    assert "code" in await world.visitor(visitor.client_id).log_in("one@example.com", decomposed)
    other = world.visitor(visitor.client_id)
    await other.open(screen_hint="signup")
    await other.browser.submit({"email": "two@example.com", "password": long + "a"})
    assert "code" in await world.visitor(visitor.client_id).log_in("two@example.com", long + "a")
    assert await world.visitor(visitor.client_id).log_in("two@example.com", long + "b") == {}


async def test_a_password_with_a_nul_is_refused(world: World) -> None:
    visitor = world.visitor(await world.acme.make_client())
    await visitor.open(screen_hint="signup")
    response = await visitor.browser.submit({"email": "x@example.com", "password": "seven unrelated\0words"})
    assert response.status_code == 400
    assert await world.acme.run("SELECT user_id FROM users") == []
