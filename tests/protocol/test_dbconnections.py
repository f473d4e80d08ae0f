"""Accounts and password resets by Auth0's Authentication API, as its SDKs send them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.mailbox import Mailed, link_in, mailed

pytestmark = pytest.mark.anyio

DATABASE = "Username-Password-Authentication"
PASSWORD = "seven unrelated words"
SENT = "We've just sent you an email to reset your password."


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
async def shared_mail(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mailed]:
    """For what changes nothing."""
    async with mailed(golden, tmp_path_factory.mktemp("mail")) as made:
        yield made


async def call(mail: Mailed, path: str, tenant_id: str = "acme", **changes: Any) -> httpx.Response:
    tenant = mail.tenant(tenant_id)
    body = {"client_id": tenant.clients["spa"].client_id, "connection": DATABASE, "email": "new@example.org"}
    sent = {name: value for name, value in (body | changes).items() if value is not None}
    return await mail.http.post(f"{tenant.issuer}dbconnections/{path}", json=sent)


async def sign_up(mail: Mailed, tenant_id: str = "acme", **changes: Any) -> httpx.Response:
    return await call(mail, "signup", tenant_id, **{"password": PASSWORD} | changes)


async def change_password(mail: Mailed, tenant_id: str = "acme", **changes: Any) -> httpx.Response:
    return await call(mail, "change_password", tenant_id, **changes)


async def users(mail: Mailed, email: str = "new@example.org", tenant_id: str = "acme") -> list[Any]:
    return await mail.rows(tenant_id, f"SELECT * FROM users WHERE email = '{email}'")


async def test_a_new_account_has_what_its_person_said_and_can_sign_in(mail: Mailed) -> None:
    answer = await sign_up(
        mail, email="New@Example.org", name="New Person", given_name="New", family_name="Person", nickname="newt",
        picture="https://pictures.example/new.png", username="newt", user_metadata={"plan": "silver"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made.pop("_id")
    assert made == {
        "email": "new@example.org", "email_verified": False, "name": "New Person", "given_name": "New",
        "family_name": "Person", "nickname": "newt", "username": "newt",
        "picture": "https://pictures.example/new.png", "user_metadata": {"plan": "silver"},
    }  # fmt: skip
    manager = await mail.installation.manager("acme")
    (user,) = await manager.get("/users-by-email", email="new@example.org")
    assert user["user_id"] == f"auth0|{answer.json()['_id']}"
    assert (user["email_verified"], user["user_metadata"], user["app_metadata"]) == (
        False,
        {"plan": "silver"},
        {},
    )
    assert await mail.can_sign_in("new@example.org", PASSWORD)


async def test_nothing_can_be_claimed_at_sign_up(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 111."""
    forbidden = {
        "email_verified": "true", "app_metadata": "{}", "user_id": "auth0|me", "blocked": "false", "roles": "admin",
        "_id": "me", "is_system": "true", "created_at": "2000-01-01", "sessions_valid_from": "9", "profile": "{}",
    }  # fmt: skip
    assert (await sign_up(mail, **forbidden)).status_code == 200
    (user,) = await users(mail)
    assert user.user_id != "auth0|me"
    assert (user.email_verified, user.blocked, user.app_metadata, user.profile) == (0, 0, "{}", "{}")
    assert await mail.rows("acme", f"SELECT * FROM user_roles WHERE user_id = '{user.user_id}'") == []


@pytest.mark.parametrize(
    ("changes", "code", "name"),
    [
        ({"password": "short"}, "invalid_password", "PasswordStrengthError"),
        ({"password": "x" * 5000}, "invalid_password", "PasswordStrengthError"),
        ({"password": "Password123!"}, "invalid_password", "PasswordDictionaryError"),
        ({"password": "new@example.org"}, "invalid_password", "PasswordDictionaryError"),
        ({"password": None}, "invalid_request", "BadRequestError"),
        ({"password": "seven\0unrelated"}, "invalid_request", "BadRequestError"),
        ({"email": None}, "invalid_request", "BadRequestError"),
        ({"email": "nobody"}, "invalid_request", "BadRequestError"),
        ({"email": {"$ne": 1}}, "invalid_request", "BadRequestError"),
        ({"client_id": None}, "invalid_request", "BadRequestError"),
        ({"client_id": "nobody"}, "invalid_request", "BadRequestError"),
        ({"connection": None}, "invalid_request", "BadRequestError"),
        ({"connection": "email"}, "invalid_request", "BadRequestError"),
        ({"connection": "nobody"}, "invalid_request", "BadRequestError"),
        ({"name": "x" * 301}, "invalid_request", "BadRequestError"),
        ({"picture": "javascript:alert(1)"}, "invalid_request", "BadRequestError"),
        ({"user_metadata": {"a": 1}}, "invalid_request", "BadRequestError"),
        ({"user_metadata": {"a": {"b": "c"}}}, "invalid_request", "BadRequestError"),
        ({"user_metadata": {str(n): "x" for n in range(11)}}, "invalid_request", "BadRequestError"),
        ({"user_metadata": {"a": "x" * 501}}, "invalid_request", "BadRequestError"),
        ({"user_metadata": ["a"]}, "invalid_request", "BadRequestError"),
        ({"email_verified": True}, "invalid_request", "BadRequestError"),
        ({"app_metadata": {"admin": True}}, "invalid_request", "BadRequestError"),
    ],
)
async def test_what_is_wrong_at_sign_up_is_said_in_auth0s_shape_and_makes_nobody(
    shared_mail: Mailed, changes: dict[str, Any], code: str, name: str
) -> None:
    answer = await sign_up(shared_mail, **changes)
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert (body["code"], body["name"], body["statusCode"]) == (code, name, 400)
    assert body["description"] == body["message"] != ""
    assert answer.headers["cache-control"] == "no-store"
    assert await users(shared_mail) == []


async def test_a_taken_address_or_name_makes_nobody_and_changes_nothing(mail: Mailed) -> None:
    assert (await sign_up(mail, username="newt")).status_code == 200
    before = await users(mail)
    for changes in ({"email": "NEW@example.org"}, {"email": "other@example.org", "username": "newt"}):
        answer = await sign_up(mail, **changes)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signup")
    assert await users(mail) == before
    assert await users(mail, "other@example.org") == []
    assert (await sign_up(mail, "globex", username="newt")).status_code == 200


async def test_where_sign_up_is_closed_it_is(mail: Mailed) -> None:
    await mail.set(signup_enabled=False)
    answer = await sign_up(mail)
    assert (answer.status_code, answer.json()["code"]) == (400, "signup_disabled")
    assert await users(mail) == []
    assert (await sign_up(mail, "globex")).status_code == 200


async def test_one_caller_asks_for_so_many_accounts_and_no_more(mail: Mailed) -> None:
    manager = await mail.installation.manager("acme")
    stage = {"pre-user-registration": {"max_attempts": 6, "rate": 60_000}}
    await manager.patch("/attack-protection/suspicious-ip-throttling", {"stage": stage})
    assert (await sign_up(mail)).status_code == 200
    answers = [await sign_up(mail) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].json()["code"] == "too_many_requests"


async def test_who_forgot_a_password_is_sent_a_link_and_everybody_is_told_so(mail: Mailed) -> None:
    known = mail.tenant().users[0].email
    answers = [await change_password(mail, email=email) for email in (known, "nobody@example.org")]
    for answer in answers:
        assert (answer.status_code, answer.text) == (200, SENT)
        assert answer.headers["content-type"].startswith("text/plain")
    (letter,) = await mail.settle()
    assert letter.recipients == (known,)
    assert link_in(letter).startswith(f"{mail.tenant().issuer}u/reset-password?ticket=")
    kinds = await mail.rows("acme", "SELECT type, user_name FROM log_events WHERE type LIKE '%cpr'")
    assert sorted(map(tuple, kinds)) == [("fcpr", "nobody@example.org"), ("scpr", known)]


async def test_the_link_goes_to_the_tenants_own_address_whatever_host_was_named(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 109."""
    tenant = mail.tenant()
    body = {
        "client_id": tenant.clients["spa"].client_id, "connection": DATABASE, "email": tenant.users[0].email,
    }  # fmt: skip
    forged = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Host": "evil.example"}
    answer = await mail.http.post(f"{tenant.issuer}dbconnections/change_password", json=body, headers=forged)
    assert answer.status_code == 200
    (letter,) = await mail.settle()
    assert link_in(letter).startswith(tenant.issuer)
    assert "evil.example" not in letter.raw.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"email": None},
        {"email": "nobody"},
        {"client_id": "nobody"},
        {"connection": "email"},
        {"connection": None},
    ],
)
async def test_a_reset_that_names_nothing_is_refused_and_sends_nothing(
    shared_mail: Mailed, changes: dict[str, Any]
) -> None:
    answer = await change_password(shared_mail, **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert await shared_mail.settle() == []


async def test_a_password_in_the_body_changes_nothing(mail: Mailed) -> None:
    user = mail.tenant().users[0]
    assert (await change_password(mail, email=user.email, password="chosen by a stranger")).text == SENT
    assert await mail.can_sign_in(user.email, user.password)
    assert not await mail.can_sign_in(user.email, "chosen by a stranger")


async def test_links_to_one_address_are_few_known_or_not(mail: Mailed) -> None:
    mail.begin_a_window()
    for email in (mail.tenant().users[0].email, "nobody@example.org"):
        answers = [await change_password(mail, email=email) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert answers[-1].json()["statusCode"] == 429
    assert len(await mail.settle()) == 5
    assert (await change_password(mail, "globex", email="nobody@example.org")).status_code == 200


async def test_a_blocked_user_is_sent_no_link(mail: Mailed) -> None:
    manager = await mail.installation.manager("acme")
    email = mail.tenant().users[0].email
    (user,) = await manager.get("/users-by-email", email=email)
    await manager.patch(f"/users/{user['user_id']}", {"blocked": True})
    assert (await change_password(mail, email=email)).text == SENT
    assert await mail.settle() == []


async def test_browsers_of_registered_origins_may_call_and_others_not(mail: Mailed) -> None:
    await mail.client(
        app_type="spa", web_origins=["https://spa.example"], callbacks=["https://spa.example/cb"]
    )
    for path in ("signup", "change_password"):
        url = f"{mail.tenant().issuer}dbconnections/{path}"
        for origin, allowed in (
            ("https://spa.example", "https://spa.example"),
            ("https://evil.example", None),
        ):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = await mail.http.options(url, headers=asked)
            assert answer.headers.get("access-control-allow-origin") == allowed
            refused = await mail.http.post(url, json={}, headers={"Origin": origin})
            assert refused.headers.get("access-control-allow-origin") == allowed
        assert (await mail.http.get(url)).status_code == 405


async def test_without_mail_a_reset_is_refused_and_sign_up_works(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    async with serving(settings_for(data_dir), golden[1]) as installation:
        tenant = installation.tenant("acme")
        body = {
            "client_id": tenant.clients["spa"].client_id, "connection": DATABASE, "email": "new@example.org",
            "password": PASSWORD,
        }  # fmt: skip
        answer = await installation.http.post(f"{tenant.issuer}dbconnections/change_password", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert "does not send mail" in answer.json()["description"]
        assert (
            await installation.http.post(f"{tenant.issuer}dbconnections/signup", json=body)
        ).status_code == 200


async def test_a_suspended_tenant_answers_in_the_same_shape(mail: Mailed) -> None:
    operator = await mail.installation.operator()
    await operator.post("/tenants/acme/suspend")
    for answer in (await sign_up(mail), await change_password(mail)):
        assert (answer.status_code, answer.json()["statusCode"]) == (403, 403)
    assert await mail.settle("globex") == []


async def test_the_connections_own_rules_are_kept(mail: Mailed) -> None:
    api = await mail.installation.manager("acme")
    [found] = await api.get("/connections", strategy="auth0")

    async def say(**options: Any) -> None:
        await api.patch(f"/connections/{found['id']}", {"options": options})

    await say(requires_username=True, validation={"username": {"min": 3, "max": 6}})
    for username, status in ((None, 400), ("ab", 400), ("toolong", 400), ("newt", 200)):
        assert (await sign_up(mail, username=username)).status_code == status
    await say(password_complexity_options={"min_length": 30})
    refused = await sign_up(mail, email="other@example.org")
    assert (refused.status_code, refused.json()["name"]) == (400, "PasswordStrengthError")
    await say(disable_signup=True)
    assert (await sign_up(mail, email="other@example.org")).json()["code"] == "signup_disabled"
    assert (await change_password(mail)).status_code == 200
    await say(disable_self_service_change_password=True)
    assert (await change_password(mail)).status_code == 400
    assert len(await users(mail)) == 1
