"""What accounts at `/api/auth` need a letter for: a forgotten password, an address proved, an address changed
(`specs/organization-api.md` B.4; `bad-inputs.md` 100, 109, 110)."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog

from core.logs import configure_logs
from entrypoints.browser import Browser
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.mailbox import Mailed, link_in, mailed
from tests.organizations.inviting import set_options
from tests.organizations.people import AuthAnswer, AuthClient, new_address, signed_in, visitor
from tests.smtp import Received

pytestmark = pytest.mark.anyio

APP = "http://app.acme.localhost:9872"
NEW = "seven unrelated words"
HOUR = 3600


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        await set_options(made, allow_email_change=True)
        yield made


async def test_a_forgotten_password_is_chosen_anew_in_the_application(mail: Mailed) -> None:
    robin = await signed_in(mail.installation)
    asked = await ask_reset(mail, robin.email, redirectTo=f"{APP}/new-password?step=2#form")
    unknown = await ask_reset(mail, new_address(), redirectTo=f"{APP}/new-password")
    assert (asked.status, asked.text) == (200, unknown.text)
    assert asked.body["status"] is True
    (letter,) = await mail.settle()
    assert letter.recipients == (robin.email,)
    followed = await mail.http.get(link_in(letter))
    assert followed.status_code == 302
    assert followed.headers["location"].startswith(f"{APP}/new-password?step=2&token=")
    assert followed.headers["location"].endswith("#form")
    token = parse_qs(urlsplit(followed.headers["location"]).query)["token"][0]
    for body, code in (
        ({"newPassword": "short", "token": token}, "PASSWORD_TOO_SHORT"),
        ({"newPassword": NEW, "token": token[:-1]}, "INVALID_TOKEN"),
        ({"newPassword": NEW}, "INVALID_TOKEN"),
    ):
        refused = await visitor(mail.installation).post("/reset-password", **body)
        assert (refused.status, refused.code) == (400, code)
    globex = await visitor(mail.installation, "globex").post("/reset-password", newPassword=NEW, token=token)
    assert globex.code == "INVALID_TOKEN"
    done = await visitor(mail.installation).post("/reset-password", newPassword=NEW, token=token)
    assert (done.status, done.body) == (200, {"status": True})
    assert await robin.session() is None, "everything of the old password has ended"
    again = await visitor(mail.installation).post("/reset-password", newPassword=NEW, token=token)
    assert (again.status, again.code) == (400, "INVALID_TOKEN")
    robin.password = NEW
    await robin.sign_in()
    used = await mail.http.get(link_in(letter))
    assert used.headers["location"] == f"{APP}/new-password?step=2&error=INVALID_TOKEN#form"
    (notice,) = (await mail.settle())[1:]
    assert notice.message["Subject"] == "Your password for Acme was changed"


async def test_a_link_that_names_no_application_leads_to_the_page_of_this_host(mail: Mailed) -> None:
    robin = await signed_in(mail.installation)
    await ask_reset(mail, robin.email)
    (letter,) = await mail.settle()
    assert urlsplit(link_in(letter)).path == "/u/reset-password"
    mail.installation.clock.advance(HOUR + 60)
    secret = parse_qs(urlsplit(link_in(letter)).query)["ticket"][0]
    late = await visitor(mail.installation).post("/reset-password", newPassword=NEW, token=secret)
    assert (late.status, late.code) == (400, "INVALID_TOKEN")


async def test_no_link_leads_to_a_stranger(mail: Mailed) -> None:
    robin = await signed_in(mail.installation)
    for address in ("https://evil.example/", "//evil.example", f"{APP}.evil.example", "javascript:1"):
        refused = await ask_reset(mail, robin.email, redirectTo=address)
        assert (refused.status, refused.code) == (403, "INVALID_REDIRECT_URL")
        for path in ("/reset-password/x", "/verify-email"):
            followed = await robin.get(path, callbackURL=address, token="x")
            assert (followed.status, followed.code) == (403, "INVALID_CALLBACK_URL")
    for nowhere in ({}, {"callbackURL": ""}):
        assert (await robin.get("/reset-password/x", **nowhere)).status == 403
    assert (await robin.get("/verify-email", callbackURL="", token="x")).code == "INVALID_TOKEN"
    assert not await mail.settle()


async def test_the_secret_of_a_link_is_in_no_line_of_the_log(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    lines, settings = io.BytesIO(), structlog.get_config()
    configure_logs("info", lines)
    try:
        async with serving(settings_for(data_dir), golden[1]) as installation:
            followed = await visitor(installation).get("/reset-password/very-secret", callbackURL=APP)
    finally:
        configure_logs("warning")
        structlog.configure(**settings)
    assert followed.headers["location"] == f"{APP}?error=INVALID_TOKEN"
    written = lines.getvalue().decode()
    assert "/api/auth/reset-password/..." in written
    assert "very-secret" not in written


async def test_without_mail_nothing_that_needs_it_is_begun(installation: Installation) -> None:
    await (await installation.manager("acme")).patch("/tenants/organizations", {"allow_email_change": True})
    robin = await signed_in(installation, verified=False)
    reset = await robin.post("/request-password-reset", email=robin.email)
    assert (reset.status, reset.code) == (400, "RESET_PASSWORD_DISABLED")
    for path, body in (
        ("/send-verification-email", {"email": robin.email}),
        ("/change-email", {"newEmail": "n@a.example"}),
    ):
        refused = await robin.post(path, **body)
        assert (refused.status, refused.code) == (400, "VERIFICATION_EMAIL_NOT_ENABLED"), path


async def test_an_address_is_proved_by_the_button_of_the_page_or_by_the_application(mail: Mailed) -> None:
    robin = await signed_in(mail.installation, verified=False)
    await send_verification(robin, robin.email, callbackURL=f"{APP}/verified")
    letter = (await mail.settle())[-1]
    assert urlsplit(link_in(letter)).path == "/u/email-verification"
    assert not await is_verified(robin), "nobody pressed the button yet"
    done = await press(mail, link_in(letter))
    assert done.headers["location"].startswith(f"{APP}/verified?success=true")
    assert await is_verified(robin)
    for email, code in ((robin.email, "EMAIL_ALREADY_VERIFIED"), (new_address(), "EMAIL_MISMATCH")):
        refused = await robin.post("/send-verification-email", email=email)
        assert (refused.status, refused.code) == (400, code)
    sam = await signed_in(mail.installation, verified=False)
    await send_verification(sam, sam.email)
    secret = ticket_in(await mail.settle())
    verified = await visitor(mail.installation).get("/verify-email", token=secret)
    assert (verified.status, verified.body["status"]) == (200, True)
    assert await is_verified(sam)
    again = await visitor(mail.installation).get("/verify-email", token=secret)
    assert (again.status, again.code) == (401, "INVALID_TOKEN")
    led = await visitor(mail.installation).get("/verify-email", token=secret, callbackURL=f"{APP}/verified")
    assert (led.status, led.headers["location"]) == (302, f"{APP}/verified?error=INVALID_TOKEN")


async def test_a_link_that_came_too_late_says_so(mail: Mailed) -> None:
    robin = await signed_in(mail.installation, verified=False)
    await send_verification(robin, robin.email)
    secret = ticket_in(await mail.settle())
    mail.installation.clock.advance(5 * 24 * HOUR + 60)
    for _ in range(2):
        late = await visitor(mail.installation).get("/verify-email", token=secret)
        assert (late.status, late.code) == (401, "TOKEN_EXPIRED")


async def test_strangers_may_ask_for_the_letter_and_learn_nothing(mail: Mailed) -> None:
    robin = await signed_in(mail.installation, verified=False)
    proved = await signed_in(mail.installation)
    stranger, before = visitor(mail.installation), len(await mail.settle())
    answers = [
        await stranger.post("/send-verification-email", email=email)
        for email in (robin.email, proved.email, new_address())
    ]
    assert {(answer.status, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert [letter.recipients for letter in (await mail.settle())[before:]] == [(robin.email,)]
    assert (await stranger.post("/send-verification-email", email="nobody")).code == "VALIDATION_ERROR"


async def test_an_address_changes_when_the_new_one_is_proved(mail: Mailed) -> None:
    robin, new = await signed_in(mail.installation), new_address()
    for body, code in (
        ({"newEmail": robin.email.upper()}, None),
        ({"newEmail": "x"}, "VALIDATION_ERROR"),
    ):
        refused = await robin.post("/change-email", **body)
        assert (refused.status, refused.code) == (400, code)
    asked = await robin.post("/change-email", newEmail=new, callbackURL=f"{APP}/changed")
    assert (asked.status, asked.body) == (200, {"status": True})
    (letter,) = await mail.settle()
    assert letter.recipients == (new,)
    assert (await robin.get("/get-session")).body["user"]["email"] == robin.email
    done = await press(mail, link_in(letter))
    assert done.headers["location"].startswith(f"{APP}/changed?success=true")
    assert await robin.session() is None, "with another address everything ends that was begun"
    old = await visitor(mail.installation).post("/sign-in/email", email=robin.email, password=robin.password)
    assert old.status == 401
    told = (await mail.settle())[-1]
    assert told.recipients == (robin.email,), "whoever reads the old address hears of it"
    assert (new in told.text, "http" in told.text) == (False, False)
    robin.email = new
    await robin.sign_in()
    assert await is_verified(robin)


async def test_an_address_that_nobody_proved_hears_nothing_of_a_change(mail: Mailed) -> None:
    robin, new = await signed_in(mail.installation, verified=False), new_address()
    await robin.post("/change-email", newEmail=new)
    before = list(await mail.settle())
    await press(mail, link_in(before[-1]))
    assert len(await mail.settle()) == len(before)


async def test_nobody_takes_an_address_that_is_somebodys(mail: Mailed) -> None:
    """Not when it is asked for, where nothing is said of it, nor when somebody has it by the time it is proved."""
    robin, sam = await signed_in(mail.installation), await signed_in(mail.installation)
    taken = await robin.post("/change-email", newEmail=sam.email)
    assert (taken.status, taken.body) == (200, {"status": True})
    assert not await mail.settle()
    wanted = new_address()
    await robin.post("/change-email", newEmail=wanted)
    secret = ticket_in(await mail.settle())
    await signed_in(mail.installation, email=wanted)
    late = await visitor(mail.installation).get("/verify-email", token=secret)
    assert (late.status, late.code) == (401, "INVALID_TOKEN")
    assert (await robin.get("/get-session")).body["user"]["email"] == robin.email


async def test_a_change_of_address_needs_who_came_in_lately_and_is_as_old_as_the_address(
    mail: Mailed,
) -> None:
    robin, first, second = await signed_in(mail.installation), new_address(), new_address()
    await robin.post("/change-email", newEmail=first)
    await robin.post("/change-email", newEmail=second)
    secrets = {letter.recipients: ticket_in([letter]) for letter in await mail.settle()}
    assert (await visitor(mail.installation).get("/verify-email", token=secrets[(second,)])).status == 200
    stale = await visitor(mail.installation).get("/verify-email", token=secrets[(first,)])
    assert (stale.status, stale.code) == (401, "INVALID_TOKEN"), "of the address before"
    robin.email = second
    await robin.sign_in()
    mail.installation.clock.advance(24 * HOUR + 60)
    refused = await robin.post("/change-email", newEmail=first)
    assert (refused.status, refused.code) == (403, "SESSION_NOT_FRESH")


async def test_a_link_to_a_new_address_is_over_with_the_session_that_asked_for_it(mail: Mailed) -> None:
    """Else whoever had somebody's account, or their session, takes it back after the password was changed."""
    robin = await signed_in(mail.installation)

    async def asked_in(session: AuthClient) -> str:
        assert (await session.post("/change-email", newEmail=new_address())).status == 200
        return ticket_in(await mail.settle())

    async def is_over(secret: str) -> bool:
        answer = await visitor(mail.installation).get("/verify-email", token=secret)
        return (answer.status, answer.code) == (401, "INVALID_TOKEN")

    other = visitor(mail.installation, email=robin.email, password=robin.password)
    revoked = await asked_in(await other.sign_in())
    await robin.post("/revoke-other-sessions")
    signed_out = await asked_in(await other.sign_in())
    await other.post("/sign-out")
    of_old_password = await asked_in(await other.sign_in())
    await ask_reset(mail, robin.email)
    reset = ticket_in(await mail.settle())
    await other.post("/change-email", newEmail=(unsent := new_address()))
    await visitor(mail.installation).post("/reset-password", newPassword=NEW, token=reset)
    assert (unsent,) not in [letter.recipients for letter in await mail.settle()]
    robin.password = NEW
    of_blocked = await asked_in(await robin.sign_in())
    manager = await mail.installation.manager("acme")
    for blocked in (True, False):
        await manager.patch(f"/users/{robin.user_id}", {"blocked": blocked})
    assert [await is_over(one) for one in (revoked, signed_out, of_old_password, of_blocked)] == [True] * 4
    await robin.sign_in()


async def ask_reset(mail: Mailed, email: str, **body: str) -> AuthAnswer:
    return await visitor(mail.installation).post("/request-password-reset", email=email, **body)


async def send_verification(person: AuthClient, email: str, **body: str) -> None:
    answer = await person.post("/send-verification-email", email=email, **body)
    assert (answer.status, answer.body) == (200, {"status": True})


async def is_verified(person: AuthClient) -> bool:
    return bool((await person.get("/get-session")).body["user"]["emailVerified"])


async def press(mail: Mailed, url: str) -> httpx.Response:
    """The button, in another browser than the one that asked."""
    async with mail.installation.browser() as http:
        browser = Browser(http, stops=(APP,))
        page = await browser.open(url)
        form, (address, _, _) = browser.forms()[0], str(page.url).partition("?")
        origin = {"Origin": mail.tenant().issuer.rstrip("/")}
        return await http.post(address, data=form.fields, headers=origin)


def ticket_in(letters: list[Received]) -> str:
    """Of the last one."""
    link = link_in(letters[-1])
    return parse_qs(urlsplit(link).query)["ticket"][0]
