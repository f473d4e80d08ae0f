"""Accounts and sessions at `/api/auth` (`specs/organization-api.md` B.1 and B.4)."""

import pytest

from entrypoints.demo_content import DemoUser
from tests.installation import Installation
from tests.organizations.people import AuthAnswer, AuthClient, another, new_address, signed_in, visitor

pytestmark = pytest.mark.anyio

HOUR, DAY = 3_600, 86_400
GOOD = "seven unrelated words"


async def test_who_signs_up_is_signed_in_until_they_sign_out(shared: Installation) -> None:
    robin, email = visitor(shared), new_address()
    up = await robin.post("/sign-up/email", name="Robin", email=email.upper(), password=GOOD, role="owner")
    assert up.status == 200, up
    assert up.body["user"] | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "name": "Robin",
        "email": email,
        "emailVerified": False,
        "image": None,
        "createdAt": "",
        "updatedAt": "",
    }
    session = await robin.session()
    assert session is not None
    assert session["token"] == up.body["token"]
    assert len(session["token"]) == 32
    assert session["createdAt"].endswith("Z")
    out = await robin.post("/sign-out")
    assert out.body == {"success": True}
    expired = [
        header.partition("=")[0] for header in out.headers.get_list("set-cookie") if "Max-Age=0" in header
    ]
    assert {f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")} < set(
        expired
    )
    assert (await robin.get("/get-session")).text == "null"
    assert (await robin.post("/sign-out")).body == {"success": True}, "somebody who is nobody as well"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"email": "nobody"}, 400, "VALIDATION_ERROR"),
        ({"email": None}, 400, "VALIDATION_ERROR"),
        ({"password": "short"}, 400, "PASSWORD_TOO_SHORT"),
        ({"password": ""}, 400, "PASSWORD_TOO_SHORT"),
        ({"password": "seven unrelated\0words"}, 400, "VALIDATION_ERROR"),
        ({"password": "x y" * 2000}, 400, "PASSWORD_TOO_LONG"),
        ({"password": "Password123!"}, 400, "PASSWORD_TOO_COMMON"),
        ({"image": "javascript:alert(1)"}, 400, "VALIDATION_ERROR"),
        ({"name": "n" * 151}, 400, "VALIDATION_ERROR"),
        ({"name": "two\nlines"}, 400, "VALIDATION_ERROR"),
        ({"callbackURL": "https://evil.example"}, 403, "INVALID_CALLBACK_URL"),
        ({"email": "ADA@acme.example "}, 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"),
    ],
)
async def test_what_is_no_account_is_not_made(
    shared: Installation, changes: dict[str, object], status: int, code: str
) -> None:
    robin = visitor(shared)
    body = {"name": "", "email": new_address(), "password": GOOD} | changes
    refused = await robin.post("/sign-up/email", **body)
    assert (refused.status, refused.code) == (status, code), refused
    assert await robin.session() is None


async def test_who_gives_no_name_has_none(shared: Installation) -> None:
    robin = visitor(shared)
    up = await robin.post("/sign-up/email", name=" ", email=new_address(), password=GOOD, image="")
    assert (up.status, up.body["user"]["name"], up.body["user"]["image"]) == (200, "", None)
    sam = await signed_in(shared)
    assert (await sam.post("/update-user", name=" ")).status == 200
    manager = await shared.manager("acme")
    for user_id in (up.body["user"]["id"], sam.user_id):
        assert (await manager.get(f"/users/{user_id}")).get("name") is None


async def test_a_tenant_that_takes_nobody_takes_nobody_here(installation: Installation) -> None:
    await (await installation.manager("acme")).patch("/tenants/settings", {"signup_enabled": False})
    refused = await visitor(installation).post("/sign-up/email", name="", email=new_address(), password=GOOD)
    assert (refused.status, refused.code) == (400, "EMAIL_PASSWORD_SIGN_UP_DISABLED")


async def test_nobody_learns_whether_an_address_is_known(shared: Installation) -> None:
    robin = await signed_in(shared)
    manager = await shared.manager("acme")
    blocked = await signed_in(shared)
    await manager.patch(f"/users/{blocked.user_id}", {"blocked": True})
    answers = [
        await visitor(shared).post("/sign-in/email", email=email, password=password)
        for email, password in (
            (robin.email, "wrong"),
            (new_address(), robin.password),
            (blocked.email, blocked.password),
            (robin.email, ""),
            (robin.email, "x" * 10_000),
        )
    ]
    assert {(answer.status, answer.code, answer.text) for answer in answers} == {
        (401, "INVALID_EMAIL_OR_PASSWORD", answers[0].text)
    }
    assert await blocked.session() is None, "blocked, they are out"


async def test_guesses_are_counted_with_those_at_the_login_page(installation: Installation) -> None:
    robin = await signed_in(installation)
    statuses = [
        (await visitor(installation).post("/sign-in/email", email=robin.email, password=f"no {n}")).status
        for n in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    party = installation.relying_party("acme", "spa")
    party.user = DemoUser(robin.email, robin.password)
    await party.authorize()
    assert (await party.log_in()).status_code == 429


async def test_one_session_serves_this_api_and_authorize(installation: Installation) -> None:
    """Signed in here, one is signed in there; signed out there, one is out here; and their clients are told."""
    robin = await signed_in(installation)
    party = installation.relying_party("acme", "spa", http=robin.http)
    party.user = DemoUser(robin.email, robin.password)
    assert "code" in await party.silent()
    out = await robin.http.get(f"{party.issuer}v2/logout")
    assert out.status_code == 200
    assert await robin.session() is None
    await party.authorize()
    await party.log_in()
    session = await robin.session()
    assert session is not None
    assert session["userId"] == robin.user_id
    tokens = await party.redeem(party.landed["code"])
    refreshed = await party.refresh(tokens.refresh_token)
    assert refreshed.status == 200
    assert (await robin.post("/sign-out")).status == 200
    assert (await party.refresh(refreshed.refresh_token)).error == "invalid_grant"
    assert (await party.silent())["error"] == "login_required"


async def test_a_session_goes_on_with_use_and_never_beyond_its_end(installation: Installation) -> None:
    robin, clock = await signed_in(installation), installation.clock
    first = await robin.session()
    assert first is not None
    clock.advance(DAY / 2)
    again = await robin.get("/get-session")
    assert again.body["session"]["expiresAt"] == first["expiresAt"]
    assert "set-cookie" not in again.headers
    clock.advance(DAY / 2 + 60)
    assert (await robin.get("/get-session", disableRefresh="true")).body["session"]["expiresAt"] == first[
        "expiresAt"
    ]
    carried = await robin.get("/get-session")
    assert carried.body["session"]["expiresAt"] > first["expiresAt"]
    assert carried.body["session"]["token"] == first["token"]
    assert len(carried.headers.get_list("set-cookie")) == 2
    for _ in range(7):
        clock.advance(DAY)
        last = await robin.session()
    assert last is None, "a week is the tenant's session lifetime"


async def test_a_browser_that_is_to_forget_is_signed_out_after_a_day(installation: Installation) -> None:
    robin = await signed_in(installation)
    entry = await robin.post("/sign-in/email", email=robin.email, password=robin.password, rememberMe=False)
    cookies = {header.partition("=")[0]: header for header in entry.headers.get_list("set-cookie")}
    assert "better-auth.dont_remember=true." in cookies["better-auth.dont_remember"]
    assert not any("max-age" in header.lower() for header in cookies.values())
    installation.clock.advance(DAY - 60)
    assert await robin.session() is not None
    installation.clock.advance(120)
    assert await robin.session() is None
    await robin.sign_in()
    assert "better-auth.dont_remember" not in robin.http.cookies


async def test_a_session_that_is_used_does_not_end_for_want_of_use(installation: Installation) -> None:
    """Whatever else it is used for, and whether or not the browser remembers it."""
    settings = {"session_lifetime": 12, "idle_session_lifetime": 1}
    await (await installation.manager("acme")).patch("/tenants/settings", settings)
    phone = await signed_in(installation)
    laptop = another(phone)
    body = {"email": phone.email, "password": phone.password, "rememberMe": False}
    assert (await laptop.post("/sign-in/email", **body)).status == 200
    made = await phone.post("/organization/create", name="Idle", slug="idle")
    for _ in range(4):
        installation.clock.advance(HOUR * 0.45)
        await phone.post("/organization/set-active", organizationId=made.body["id"])
        installation.clock.advance(HOUR * 0.45)
        assert await phone.session() is not None
        assert await laptop.session() is not None
    installation.clock.advance(HOUR * 1.05)
    assert (await phone.session(), await laptop.session()) == (None, None)


async def test_sessions_are_listed_to_who_came_in_lately_and_ended_by_their_owner(
    installation: Installation,
) -> None:
    phone, stranger = await signed_in(installation), await signed_in(installation)
    laptop, tablet = another(phone), another(phone)
    await laptop.sign_in()
    await tablet.sign_in()
    listed = await phone.get("/list-sessions")
    assert {each["token"] for each in listed.body} == {await token(each) for each in (phone, laptop, tablet)}
    assert all(each["userId"] == phone.user_id for each in listed.body)
    foreign = await stranger.post("/revoke-session", token=await token(laptop))
    assert (foreign.status, foreign.body) == (200, {"status": True})
    assert await laptop.session() is not None
    await phone.post("/revoke-session", token=await token(laptop))
    assert await laptop.session() is None
    await phone.post("/revoke-other-sessions")
    assert (await tablet.session(), await phone.session() is None) == (None, False)
    installation.clock.advance(DAY + 60)
    stale = await phone.get("/list-sessions")
    assert (stale.status, stale.code) == (403, "SESSION_NOT_FRESH")
    await phone.post("/revoke-sessions")
    assert not [cookie for cookie in phone.http.cookies if cookie.startswith("better-auth")]
    assert await phone.session() is None
    for path in (
        "/revoke-session",
        "/revoke-sessions",
        "/revoke-other-sessions",
        "/update-session",
        "/update-user",
    ):
        refused = await phone.post(path)
        assert (refused.status, refused.code) == (401, "UNAUTHORIZED"), path


async def test_what_a_session_is_known_to_have_is_not_set_by_hand(shared: Installation) -> None:
    robin = await signed_in(shared)
    before = await robin.session()
    for name in ("activeOrganizationId", "activeTeamId", "userId", "expiresAt"):
        refused = await robin.post("/update-session", **{name: "x"})
        assert (refused.status, refused.code) == (400, "FIELD_NOT_ALLOWED")
        assert refused.body["message"] == f"{name} is not allowed to be set"
    assert (await robin.post("/update-session", other=1)).status == 400
    assert await robin.session() == before
    posted = await robin.post("/get-session")
    assert (posted.status, posted.code) == (405, "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED")


async def test_people_say_what_they_are_called_and_nothing_else(shared: Installation) -> None:
    robin = await signed_in(shared)
    changed = await robin.post(
        "/update-user", name="Robin B.", image="https://img.example/r.png", emailVerified=False
    )
    assert (changed.status, changed.body) == (200, {"status": True})
    user = (await robin.get("/get-session")).body["user"]
    assert (user["name"], user["image"]) == ("Robin B.", "https://img.example/r.png")
    assert user["emailVerified"] is True
    await robin.post("/update-user", image=None)
    assert (await robin.get("/get-session")).body["user"]["image"] is None
    for body, code in (
        ({"email": "x@y.example"}, "EMAIL_CAN_NOT_BE_UPDATED"),
        ({}, None),
        ({"blocked": False}, None),
        ({"image": "javascript:1"}, "VALIDATION_ERROR"),
        ({"name": None}, "VALIDATION_ERROR"),
        ({"name": "a\0b"}, "VALIDATION_ERROR"),
    ):
        refused = await robin.post("/update-user", **body)
        assert (refused.status, refused.code) == (400, code), body
    (account,) = (await robin.get("/list-accounts")).body
    assert (account["providerId"], account["userId"]) == ("credential", robin.user_id)
    assert account["accountId"] == robin.user_id.partition("|")[2]


async def test_a_new_password_needs_the_old_one(installation: Installation) -> None:
    robin = await signed_in(installation)
    laptop = await another(robin).sign_in()

    async def change(**body: object) -> AuthAnswer:
        return await robin.post(
            "/change-password", **{"currentPassword": robin.password, "newPassword": GOOD} | body
        )

    for body, code in (
        ({"currentPassword": "wrong"}, "INVALID_PASSWORD"),
        ({"newPassword": "short"}, "PASSWORD_TOO_SHORT"),
        ({"newPassword": "password1"}, "PASSWORD_TOO_COMMON"),
        ({"newPassword": robin.email}, "PASSWORD_TOO_COMMON"),
        ({"currentPassword": None}, "VALIDATION_ERROR"),
    ):
        refused = await change(**body)
        assert (refused.status, refused.code) == (400, code), body
    for password, status in ((robin.password, 200), ("wrong", 400)):
        assert (await robin.post("/verify-password", password=password)).status == status
    kept = await change()
    assert (kept.status, kept.body["token"], kept.body["user"]["id"]) == (200, None, robin.user_id)
    assert await laptop.session() is not None
    assert (
        await another(robin).post("/sign-in/email", email=robin.email, password=robin.password)
    ).status == 401
    before = await token(robin)
    ended = await change(currentPassword=GOOD, newPassword="eight unrelated words", revokeOtherSessions=True)
    assert ended.body["token"] == await token(robin) != before
    assert await laptop.session() is None


async def test_wrong_passwords_of_who_is_signed_in_are_counted_too(installation: Installation) -> None:
    robin = await signed_in(installation)
    answers = [await robin.post("/verify-password", password=f"wrong {n}") for n in range(12)]
    assert [answer.status for answer in answers] == [400] * 10 + [429] * 2
    assert int(answers[-1].headers["x-retry-after"]) > 0


async def test_nobody_deletes_an_account_or_changes_its_address_unless_the_tenant_says_so(
    shared: Installation,
) -> None:
    robin = await signed_in(shared)
    for answer, expected in (
        (await robin.post("/delete-user", password=robin.password), (404, "")),
        (await robin.post("/delete-user"), (404, "")),
    ):
        assert (answer.status, answer.text) == expected
    refused = await robin.post("/change-email", newEmail=new_address())
    assert (refused.status, refused.code) == (400, "CHANGE_EMAIL_DISABLED")
    for path in ("/delete-user", "/change-email"):
        assert (await visitor(shared).post(path, newEmail=new_address())).status == 401
    assert await robin.session() is not None


async def test_the_session_of_the_sign_on_cookie_alone_ends_too(shared: Installation) -> None:
    robin, thief = await signed_in(shared), visitor(shared)
    thief.http.headers["Cookie"] = f"keystead_session={robin.http.cookies['keystead_session']}"
    party = shared.relying_party("acme", "spa", http=thief.http)
    assert "code" in await party.silent()
    del robin.http.cookies["better-auth.session_token"]
    assert (await robin.post("/sign-out")).body == {"success": True}
    assert (await party.silent())["error"] == "login_required"


async def test_where_the_cookies_are_of_two_sessions_both_end(shared: Installation) -> None:
    robin, sam = await signed_in(shared), await signed_in(shared)
    both = visitor(shared)
    session, token = robin.http.cookies["keystead_session"], sam.http.cookies["better-auth.session_token"]
    both.http.headers["Cookie"] = f"keystead_session={session}; better-auth.session_token={token}"
    assert (await both.post("/sign-out")).body == {"success": True}
    assert [await each.session() for each in (robin, sam)] == [None, None]


async def token(person: AuthClient) -> str:
    session = await person.session()
    assert session is not None
    return str(session["token"])
