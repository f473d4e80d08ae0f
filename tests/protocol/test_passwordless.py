"""Signing in with a code that is sent to an address, as Auth0's SDKs do it."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.isolation.rows import everything_written
from tests.mailbox import OTP, Mailed, code_in, mailed
from tests.protocol.issuer import claims_of
from tests.protocol.phone import ADA, Phone, assert_wrong, wrong

pytestmark = pytest.mark.anyio


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


@pytest.fixture
async def phone(mail: Mailed) -> Phone:
    return Phone(mail, await mail.client())


async def test_a_code_from_a_letter_signs_somebody_new_in(mail: Mailed, phone: Phone) -> None:
    answer = await phone.start()
    assert answer.status_code == 200
    assert answer.json().keys() == {"_id", "email", "email_verified"}
    assert (answer.json()["email"], answer.json()["email_verified"]) == (ADA, False)
    (letter,) = await mail.settle()
    assert letter.recipients == (ADA,)
    assert letter.message["from"] == "Acme <login@example.com>"
    assert "Phone" in letter.text
    tokens = (await phone.redeem(code_in(letter))).json()
    claims = claims_of(tokens["id_token"])
    assert claims["sub"].startswith("email|")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    told = (await mail.http.get(f"{phone.issuer}userinfo", headers=bearer)).json()
    assert (told["sub"], told["email"], told["email_verified"]) == (claims["sub"], ADA, True)
    assert claims["amr"] == ["otp"]
    assert "sid" not in claims
    refreshed = await mail.http.post(
        f"{phone.issuer}oauth/token",
        data={"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **phone.credentials},
    )
    assert claims_of(refreshed.json()["id_token"])["sub"] == claims["sub"]
    kinds = [row[0] for row in await mail.rows("acme", "SELECT type FROM log_events ORDER BY created_at, id")]
    assert {"cls", "ss", "sepotpft", "sertft"} <= set(kinds)


async def test_the_same_address_is_the_same_person_next_time_whatever_its_letter_case(phone: Phone) -> None:
    first = await phone.redeem(await phone.code())
    again = await phone.redeem(await phone.code(ADA.upper()), "  " + ADA.title())
    subjects = {claims_of(answer.json()["id_token"])["sub"] for answer in (first, again)}
    assert len(subjects) == 1


async def test_an_address_of_another_connection_is_another_person(mail: Mailed, phone: Phone) -> None:
    """`specs/bad-inputs.md` 117: nobody gets into an account because an address is written on it."""
    known = mail.tenant().users[0].email
    answer = await phone.redeem(await phone.code(known), known)
    assert claims_of(answer.json()["id_token"])["sub"].startswith("email|")
    rows = await mail.rows("acme", f"SELECT user_id FROM users WHERE email = '{known}'")
    assert sorted(row[0].partition("|")[0] for row in rows) == ["auth0", "email"]


async def test_a_code_is_redeemed_once_even_a_hundred_times_at_once(phone: Phone) -> None:
    code = await phone.code()
    answers = await asyncio.gather(*(phone.redeem(code) for _ in range(100)))
    assert [answer.status_code for answer in answers].count(200) == 1
    for answer in answers:
        if answer.status_code not in (200, 429):
            assert_wrong(answer)


async def test_a_code_dies_of_three_wrong_guesses_at_once_or_one_by_one(phone: Phone) -> None:
    code = await phone.code()
    for _ in range(2):
        assert_wrong(await phone.redeem(wrong(code)))
    assert (await phone.redeem(code)).status_code == 200
    code = await phone.code()
    answers = await asyncio.gather(*(phone.redeem(wrong(code)) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [400] * 10 + [429] * 20
    phone.mail.installation.clock.advance(61)
    assert_wrong(await phone.redeem(code))


async def test_a_code_is_good_for_five_minutes(mail: Mailed, phone: Phone) -> None:
    code = await phone.code()
    mail.installation.clock.advance(301)
    assert_wrong(await phone.redeem(code))


async def test_only_the_newest_code_of_an_address_is_good(phone: Phone) -> None:
    first, second = await phone.code(), await phone.code()
    if first != second:
        assert_wrong(await phone.redeem(first))
    assert (await phone.redeem(second)).status_code == 200


async def test_a_code_is_for_its_address_its_client_and_its_tenant(mail: Mailed, phone: Phone) -> None:
    code = await phone.code()
    other_client = Phone(mail, await mail.client())
    other_tenant = Phone(mail, await mail.client("globex"), "globex")
    for _ in range(3):
        assert_wrong(await phone.redeem(code, "somebody.else@example.org"))
        assert_wrong(await other_client.redeem(code))
        assert_wrong(await other_tenant.redeem(code))
    assert (await phone.redeem(code)).status_code == 200


async def test_codes_of_other_kinds_are_none(mail: Mailed, phone: Phone) -> None:
    """`specs/bad-inputs.md` 61."""
    code = await phone.code()
    web = await mail.client(
        app_type="regular_web", token_endpoint_auth_method="client_secret_post", callbacks=["https://a.example/"],
        grant_types=["authorization_code", "refresh_token", OTP],
    )  # fmt: skip
    secret = {name: web[name] for name in ("client_id", "client_secret")}
    token = f"{phone.issuer}oauth/token"
    for form in (
        {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://a.example/"},
        {"grant_type": "refresh_token", "refresh_token": code},
    ):
        answer = await mail.http.post(token, data=form | secret)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    refresh = (await phone.redeem(code)).json()["refresh_token"]
    assert_wrong(await phone.redeem(refresh))


async def test_known_and_unknown_addresses_are_answered_alike_and_strangers_get_no_letter(
    mail: Mailed, phone: Phone
) -> None:
    """`specs/bad-inputs.md` 106."""
    assert (await phone.redeem(await phone.code())).status_code == 200
    await mail.set(signup_enabled=False)
    sent = len(mail.server.received)
    answers = [await phone.start(), await phone.start("nobody@example.org")]
    letters = (await mail.settle())[sent:]
    assert [letter.recipients for letter in letters] == [(ADA,)]
    one, other = ({**answer.json(), "_id": "", "email": ""} for answer in answers)
    assert one == other
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(answers[0].headers) == sorted(answers[1].headers)
    assert_wrong(await phone.redeem("123456", "nobody@example.org"))


async def test_where_sign_up_is_closed_meanwhile_a_code_makes_nobody(mail: Mailed, phone: Phone) -> None:
    code = await phone.code()
    await mail.set(signup_enabled=False)
    assert_wrong(await phone.redeem(code))
    assert await mail.rows("acme", f"SELECT user_id FROM users WHERE email = '{ADA}'") == []


async def test_a_blocked_person_gets_no_letter_and_no_token(mail: Mailed, phone: Phone) -> None:
    subject = claims_of((await phone.redeem(await phone.code())).json()["id_token"])["sub"]
    code = await phone.code()
    manager = await mail.installation.manager("acme")
    await manager.patch(f"/users/{subject}", {"blocked": True})
    assert_wrong(await phone.redeem(code))
    sent = len(mail.server.received)
    assert (await phone.start()).status_code == 200
    assert len(await mail.settle()) == sent


async def test_who_is_given_another_address_signs_in_by_that_one(mail: Mailed, phone: Phone) -> None:
    subject = claims_of((await phone.redeem(await phone.code())).json()["id_token"])["sub"]
    manager = await mail.installation.manager("acme")
    await manager.patch(f"/users/{subject}", {"email": "moved@example.org"})
    moved = await phone.redeem(await phone.code("moved@example.org"), "moved@example.org")
    assert claims_of(moved.json()["id_token"])["sub"] == subject
    old = await phone.redeem(await phone.code())
    assert claims_of(old.json()["id_token"])["sub"] != subject


async def test_letters_to_one_address_are_few_known_or_not(mail: Mailed, phone: Phone) -> None:
    await mail.set(signup_enabled=False)
    mail.begin_a_window()
    for email in (ADA, "nobody@example.org"):
        answers = [await phone.start(email) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 900
    assert (await phone.start("another@example.org")).status_code == 200
    mail.installation.clock.advance(901)
    assert (await phone.start()).status_code == 200
    other = Phone(mail, await mail.client("globex"), "globex")
    assert (await other.start()).status_code == 200


async def test_strangers_may_ask_one_tenant_for_so_many_letters_and_no_more(mail: Mailed) -> None:
    """Through a client that proves itself; a caller who does not is told sooner
    (`tests/security/test_strangers_use_up_nothing_of_others.py`)."""
    await mail.set(signup_enabled=False)
    phone = Phone(mail, await mail.client(token_endpoint_auth_method="client_secret_post"))
    answers = [await phone.start(f"nobody{number}@example.org") for number in range(121)]
    assert [answer.status_code for answer in answers] == [200] * 120 + [429]
    other = Phone(mail, await mail.client("globex"), "globex")
    assert (await other.start()).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"send": "link"}, "invalid_request"), ({"send": "pigeon"}, "invalid_request"),
        ({"connection": "sms"}, "invalid_request"), ({"connection": None}, "invalid_request"),
        ({"connection": "Username-Password-Authentication"}, "invalid_request"),
        ({"email": None}, "invalid_request"), ({"email": "nobody"}, "invalid_request"),
        ({"email": "a@b.example\r\nBcc: m@example.net"}, "invalid_request"),
        ({"email": ["a@example.org"]}, "invalid_request"), ({"email": {"$ne": ""}}, "invalid_request"),
        ({"client_id": "nobody"}, "invalid_client"), ({"client_id": None}, "invalid_client"),
        ({"client_secret": "for a public client"}, "invalid_client"),
    ],
)  # fmt: skip
async def test_what_cannot_be_begun_is_said_and_sends_nothing(
    shared_mail: Mailed, changes: dict[str, Any], error: str
) -> None:
    phone = Phone(shared_mail, await shared_mail.client())
    answer = await phone.start(**changes)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    assert await shared_mail.settle() == []
    assert await shared_mail.rows("acme", "SELECT id FROM login_codes") == []


async def test_what_the_sdks_send_along_is_taken(phone: Phone) -> None:
    for changes in ({"authParams": "text"}, {"authParams": {"scope": "openid", "n": [1]}}, {"send": None}):
        assert (await phone.start(**changes)).status_code == 200


@pytest.mark.parametrize("missing", ["username", "otp", "realm"])
async def test_what_is_missing_is_named_and_wears_no_code_out(phone: Phone, missing: str) -> None:
    code = await phone.code()
    answer = await phone.redeem(code, **{missing: None})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert missing in answer.json()["error_description"]
    assert (await phone.redeem(code)).status_code == 200


async def test_a_form_starts_it_as_well_and_the_method_is_post(mail: Mailed, phone: Phone) -> None:
    form = {"client_id": phone.client["client_id"], "connection": "email", "email": ADA, "send": "code"}
    url = f"{phone.issuer}passwordless/start"
    assert (await mail.http.post(url, data=form)).status_code == 200
    assert (await mail.http.get(url, params=form)).status_code == 405
    assert (
        await mail.http.post(url, content=b"{", headers={"Content-Type": "application/json"})
    ).status_code == 400
    assert (
        await mail.http.post(url, content=b"x", headers={"Content-Type": "text/plain"})
    ).status_code == 415


async def test_a_token_is_for_the_api_and_the_organization_that_were_asked_for(
    mail: Mailed, phone: Phone
) -> None:
    tenant = mail.tenant()
    audience, organization = tenant.api_audience, tenant.organizations[0]
    subject = claims_of((await phone.redeem(await phone.code())).json()["id_token"])["sub"]
    code = await phone.code()
    stranger = await phone.redeem(code, organization=organization.id)
    assert (stranger.status_code, stranger.json()["error"]) == (403, "access_denied")
    unknown = await phone.redeem(code, audience="https://nobody.example")
    assert (unknown.status_code, unknown.json()["error"]) == (403, "access_denied")
    manager = await mail.installation.manager("acme")
    await manager.post(f"/organizations/{organization.id}/members", {"members": [subject]})
    tokens = (await phone.redeem(code, organization=organization.id, audience=audience)).json()
    claims = claims_of(tokens["access_token"])
    assert (claims["org_id"], claims["sub"]) == (organization.id, subject)
    assert claims["aud"] == [audience, f"{phone.issuer}userinfo"]


async def test_an_api_that_asks_for_consent_is_not_reached_around_it(mail: Mailed, phone: Phone) -> None:
    manager = await mail.installation.manager("acme")
    await manager.post(
        "/resource-servers",
        {
            "name": "Careful", "identifier": "https://careful.example",
            "skip_consent_for_verifiable_first_party_clients": False,
        },
    )  # fmt: skip
    answer = await phone.redeem(await phone.code(), audience="https://careful.example")
    assert (answer.status_code, answer.json()["error"]) == (400, "consent_required")


async def test_no_code_stands_in_the_database_in_the_clear(mail: Mailed, phone: Phone) -> None:
    code = await phone.code()
    assert code.encode() not in await everything_written(mail.installation)
    ((kept,),) = await mail.rows("acme", "SELECT digest FROM login_codes")
    other = Phone(mail, await mail.client("globex"), "globex")
    await other.code()
    ((elsewhere,),) = await mail.rows("globex", "SELECT digest FROM login_codes")
    assert len({kept, elsewhere}) == 2


async def test_a_letter_that_comes_too_late_is_not_sent(golden: tuple[Path, Demo], tmp_path: Path) -> None:
    async with mailed(golden, tmp_path) as mail:
        phone = Phone(mail, await mail.client())
        mail.server.refuse = lambda _: "451 come back later"
        assert (await phone.start()).status_code == 200
        await mail.settle()
        mail.server.refuse = lambda _: None
        mail.installation.clock.advance(301)
        assert await mail.settle() == []
        ((failed_at, error),) = await mail.rows("acme", "SELECT failed_at, last_error FROM deliveries")
    assert failed_at is not None
    assert "too late" in error


async def test_without_mail_it_is_refused_with_a_sentence(data_dir: Path, golden: tuple[Path, Demo]) -> None:
    async with serving(settings_for(data_dir), golden[1]) as installation:
        manager = await installation.manager("acme")
        client = await manager.post(
            "/clients", {"name": "Phone", "token_endpoint_auth_method": "none", "grant_types": [OTP]}
        )
        issuer = installation.tenant("acme").issuer
        body = {"client_id": client["client_id"], "connection": "email", "email": ADA, "send": "code"}
        answer = await installation.http.post(f"{issuer}passwordless/start", json=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert "does not send mail" in answer.json()["error_description"]


async def test_a_connection_says_how_long_a_code_is_and_how_long_it_lives(mail: Mailed, phone: Phone) -> None:
    await change_connection(mail, {"totp": {"length": 8, "time_step": 60}})
    assert (await phone.start()).status_code == 200
    (letter,) = await mail.settle()
    [code] = re.findall(r"(?m)^ *([0-9]{8})$", letter.text)
    assert "within 1 minutes" in letter.text
    mail.installation.clock.advance(61)
    assert_wrong(await phone.redeem(code))
    assert (await phone.start()).status_code == 200
    [code] = re.findall(r"(?m)^ *([0-9]{8})$", (await mail.settle())[-1].text)
    assert "id_token" in (await phone.redeem(code)).json()


async def test_a_connection_that_takes_no_sign_ups_writes_to_nobody_new(mail: Mailed, phone: Phone) -> None:
    await phone.redeem(await phone.code())
    await change_connection(mail, {"disable_signup": True})
    assert (await phone.start("new@example.org")).status_code == 200
    assert len(await mail.settle()) == 1
    assert "id_token" in (await phone.redeem(await phone.code())).json()


async def test_a_log_in_by_code_brings_membership_where_its_connection_does(mail: Mailed) -> None:
    phone = Phone(mail, await mail.client(organization_usage="allow"))
    api = await mail.installation.manager("acme")
    [email] = await api.get("/connections", strategy="email")
    for name, brings in (("joined", True), ("closed", False)):
        organization = await api.post("/organizations", {"name": name})
        rules = {"connection_id": email["id"], "assign_membership_on_login": brings}
        await api.post(f"/organizations/{organization['id']}/enabled_connections", rules)
        answer = (await phone.redeem(await phone.code(), organization=organization["id"])).json()
        assert (answer.get("error") == "access_denied") is not brings
        if brings:
            assert claims_of(answer["id_token"])["org_id"] == organization["id"]
        members = await api.get(f"/organizations/{organization['id']}/members")
        assert len(members) == brings


async def change_connection(mail: Mailed, options: dict[str, Any]) -> None:
    api = await mail.installation.manager("acme")
    [found] = await api.get("/connections", strategy="email")
    await api.patch(f"/connections/{found['id']}", {"options": options})
