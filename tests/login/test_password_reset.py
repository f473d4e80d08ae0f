"""A forgotten password: a link to the account's address, good once, for the account as it was."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from entrypoints.browser import Browser
from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.isolation.rows import everything_written
from tests.mailbox import Mailed, link_in, mailed
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

NEW = "seven unrelated words"
RESET = "/u/reset-password"
_STATE = re.compile(r"state=[\w-]+")


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


async def at_password_page(installation: Installation, tenant_id: str = "acme") -> RelyingParty:
    party = installation.relying_party(tenant_id, "spa")
    await party.authorize()
    await party.browser.submit({"email": party.user.email})
    return party


async def ask(mail: Mailed, email: str | None = None, tenant_id: str = "acme") -> httpx.Response:
    """By the page's own link and form."""
    party = await at_password_page(mail.installation, tenant_id)
    assert party.browser.response is not None
    page = party.browser.response
    state = parse_qs(urlsplit(str(page.url)).query)["state"][0]
    assert f'href="{RESET}/request?state=' in page.text
    await party.browser.open(f"{party.issuer}u/reset-password/request", state=state)
    return await party.browser.submit({} if email is None else {"email": email})


async def link(mail: Mailed, email: str | None = None, tenant_id: str = "acme") -> str:
    before = len(mail.server.received)
    assert (await ask(mail, email, tenant_id)).status_code == 200
    letters = (await mail.settle(tenant_id))[before:]
    return link_in(next(letter for letter in letters if "reset-password" in letter.text))


async def follow(mail: Mailed, url: str, password: str = NEW) -> httpx.Response:
    """In another browser than the one that asked."""
    async with mail.installation.browser() as http:
        browser = Browser(http, stops=())
        page = await browser.open(url)
        return await browser.submit({"password": password}) if page.status_code == 200 else page


async def test_the_link_of_a_letter_changes_the_password_and_ends_what_the_old_one_began(
    mail: Mailed,
) -> None:
    user = mail.tenant().users[0]
    async with mail.installation.browser() as http:
        party = mail.installation.relying_party("acme", "spa", http=http)
        tokens = await party.sign_in()
        assert "code" in await party.silent()
        done = await follow(mail, await link(mail))
        assert (await party.silent())["error"] == "login_required"
        refused = await party.refresh(tokens.refresh_token)
        assert (refused.status, refused.error) == (400, "invalid_grant")
        assert (await party.userinfo(tokens.access_token)).status_code == 401
    assert done.status_code == 200
    assert "Your password is changed" in done.text
    assert not await mail.can_sign_in(user.email, user.password)
    assert await mail.can_sign_in(user.email, NEW)
    kinds = {row[0] for row in await mail.rows("acme", "SELECT type FROM log_events")}
    assert {"scpr", "scp"} <= kinds
    last = (await mail.settle())[-1]
    assert (last.recipients, last.message["subject"]) == ((user.email,), "Your password for Acme was changed")


async def test_the_page_says_the_same_for_everybody_and_only_an_account_gets_a_letter(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 106."""
    known, unknown = mail.tenant().users[1].email, "nobody@acme.example"
    answers = [await ask(mail, email) for email in (known, unknown)]
    assert [answer.status_code for answer in answers] == [200, 200]
    one, other = (
        _STATE.sub("state=S", answer.text.replace(known, "X").replace(unknown, "X")) for answer in answers
    )
    assert one == other
    assert [letter.recipients for letter in await mail.settle()] == [(known,)]


async def test_a_link_is_used_once_even_by_twenty_at_once(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 109."""
    url = await link(mail)
    passwords = [f"{NEW} number {number}" for number in range(20)]
    answers = await asyncio.gather(*(follow(mail, url, password) for password in passwords))
    assert [answer.status_code for answer in answers].count(200) == 1
    chosen = passwords[[answer.status_code for answer in answers].index(200)]
    email = mail.tenant().users[0].email
    assert await mail.can_sign_in(email, chosen)
    assert (await follow(mail, url)).status_code == 403
    assert await mail.can_sign_in(email, chosen)


async def test_a_link_is_good_for_an_hour(mail: Mailed) -> None:
    user, url = mail.tenant().users[0], await link(mail)
    mail.installation.clock.advance(3601)
    assert (await follow(mail, url)).status_code == 403
    assert await mail.can_sign_in(user.email, user.password)


@pytest.mark.parametrize("change", ["email", "password", "blocked", "deleted"])
async def test_a_link_is_for_the_account_as_it_was(mail: Mailed, change: str) -> None:
    user, url = mail.tenant().users[0], await link(mail)
    manager = await mail.installation.manager("acme")
    (found,) = await manager.get("/users-by-email", email=user.email)
    path = f"/users/{found['user_id']}"
    changes = {
        "email": {"email": "moved@acme.example"},
        "password": {"password": NEW * 2},
        "blocked": {"blocked": True},
    }
    if change == "deleted":
        await manager.delete(path)
    else:
        await manager.patch(path, changes[change])
    before = await mail.rows("acme", "SELECT user_id, hash FROM passwords ORDER BY user_id")
    assert (await follow(mail, url)).status_code == 403
    assert await mail.rows("acme", "SELECT user_id, hash FROM passwords ORDER BY user_id") == before


async def test_of_two_links_the_use_of_one_ends_the_other(mail: Mailed) -> None:
    first, second = await link(mail), await link(mail)
    assert (await follow(mail, first)).status_code == 200
    assert (await follow(mail, second, NEW + " again")).status_code == 403
    assert await mail.can_sign_in(mail.tenant().users[0].email, NEW)


async def test_a_link_of_one_tenant_is_none_in_another_even_for_the_same_address(mail: Mailed) -> None:
    email, password = mail.tenant().users[0].email, "another good old password"
    manager = await mail.installation.manager("globex")
    await manager.post(
        "/users", {"connection": "Username-Password-Authentication", "email": email, "password": password}
    )
    url = await link(mail)
    ticket = urlsplit(url).query
    assert (await follow(mail, f"{mail.tenant('globex').issuer}u/reset-password?{ticket}")).status_code == 403
    assert await mail.can_sign_in(email, password, "globex")
    assert (await follow(mail, url)).status_code == 200
    assert await mail.can_sign_in(email, password, "globex")


async def test_a_form_from_elsewhere_or_of_another_browser_changes_nothing(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 104."""
    user, url = mail.tenant().users[0], await link(mail)
    ticket = parse_qs(urlsplit(url).query)["ticket"][0]
    address = f"{mail.tenant().issuer}u/reset-password"
    async with mail.installation.browser() as victim, mail.installation.browser() as attacker:
        browser = Browser(victim, stops=())
        await browser.open(url)
        fields = {**browser.forms()[0].fields, "password": NEW}
        other = Browser(attacker, stops=())
        await other.open(url)
        foreign = {**other.forms()[0].fields, "password": NEW}
        origin = {"Origin": mail.tenant().issuer.rstrip("/")}
        for attempt in (
            victim.post(address, data=fields, headers={"Origin": "https://evil.example"}),
            victim.post(address, data=fields, headers={"Origin": "null"}),
            victim.post(address, data=fields, headers={"Sec-Fetch-Site": "cross-site"}),
            victim.post(address, data={"state": ticket, "password": NEW}, headers=origin),
            victim.post(address, data=foreign, headers=origin),
        ):
            assert (await attempt).status_code == 403
        assert (await victim.get(address, params=fields)).status_code == 403
        assert (await victim.put(address, data=fields, headers=origin)).status_code == 405
    assert await mail.can_sign_in(user.email, user.password)
    assert not await mail.can_sign_in(user.email, NEW)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "Enter your password"), ("short", "at least 8"), ("Password123!", "easy to guess"),
        ("x" * 5000, "too long"), ("ada@acme.example", "easy to guess"), ("seven\0unrelated", None),
    ],
)  # fmt: skip
async def test_a_new_password_keeps_the_rules_and_a_bad_one_does_not_use_the_link_up(
    mail: Mailed, password: str, problem: str | None
) -> None:
    url = await link(mail)
    answer = await follow(mail, url, password)
    assert answer.status_code == 400
    assert problem is None or problem in answer.text
    assert (await follow(mail, url)).status_code == 200


async def test_tickets_of_other_kinds_and_what_resembles_one_open_nothing(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 61."""
    issuer = mail.tenant().issuer
    url = await link(mail)
    ticket = parse_qs(urlsplit(url).query)["ticket"][0]
    for wrong in ("", "x", ticket[:-1], ticket + "x", ticket.swapcase(), "../" + ticket):
        answer = await mail.http.get(f"{issuer}u/reset-password", params={"ticket": wrong})
        assert answer.status_code == 403
        assert "location" not in answer.headers
    assert (await mail.http.get(f"{issuer}u/setup", params={"state": ticket})).status_code == 403
    code = await mail.installation.relying_party("acme", "spa").code()
    assert (await mail.http.get(f"{issuer}u/reset-password", params={"ticket": code})).status_code == 403
    assert (await follow(mail, url)).status_code == 200


async def test_too_many_links_to_one_address_are_refused_with_a_wait(mail: Mailed) -> None:
    mail.begin_a_window()
    answers = [await ask(mail, "nobody@acme.example") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "Too many attempts" in answers[-1].text
    assert await mail.settle() == []


@pytest.mark.parametrize("email", ["", "nobody", "a@b.example\r\nBcc: m@example.net"])
async def test_what_is_no_address_is_asked_for_again(mail: Mailed, email: str) -> None:
    assert (await ask(mail, email)).status_code == 400
    assert await mail.settle() == []


async def test_the_request_page_is_a_step_of_a_sign_in_of_this_browser(mail: Mailed) -> None:
    party = await at_password_page(mail.installation)
    assert party.browser.response is not None
    state = parse_qs(urlsplit(str(party.browser.response.url)).query)["state"][0]
    url = f"{party.issuer}u/reset-password/request"
    async with mail.installation.browser() as http:
        assert (await http.get(url, params={"state": state})).status_code == 400
        assert (await http.get(url)).status_code == 400
        assert (await http.post(url, data={"email": party.user.email})).status_code == 403
    assert await mail.settle() == []


async def test_a_user_without_a_password_may_choose_the_first_one_by_a_link(mail: Mailed) -> None:
    manager = await mail.installation.manager("acme")
    await manager.post(
        "/users", {"connection": "Username-Password-Authentication", "email": "no@acme.example"}
    )
    assert (await follow(mail, await link(mail, "no@acme.example"))).status_code == 200
    assert await mail.can_sign_in("no@acme.example", NEW)
    ((verified,),) = await mail.rows(
        "acme", "SELECT email_verified FROM users WHERE email = 'no@acme.example'"
    )
    assert verified == 1


async def test_the_links_secret_stands_nowhere_but_in_the_letter(mail: Mailed) -> None:
    ticket = parse_qs(urlsplit(await link(mail)).query)["ticket"][0]
    assert ticket.encode() not in await everything_written(mail.installation)


async def test_the_page_leaks_its_address_to_nobody_and_cannot_be_framed(mail: Mailed) -> None:
    page = await mail.http.get(await link(mail))
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    assert "script-src 'none'" in page.headers["content-security-policy"]


async def test_without_mail_there_is_no_way_to_ask(data_dir: Path, golden: tuple[Path, Demo]) -> None:
    async with serving(settings_for(data_dir), golden[1]) as installation:
        party = await at_password_page(installation)
        assert party.browser.response is not None
        assert "reset-password" not in party.browser.response.text
        state = parse_qs(urlsplit(str(party.browser.response.url)).query)["state"][0]
        url = f"{party.issuer}u/reset-password/request"
        assert (await installation.http.get(url, params={"state": state})).status_code == 400


async def test_page_and_letter_are_in_the_language_that_the_browser_asks_for(mail: Mailed) -> None:
    await mail.set(enabled_locales=["en", "de"])
    mail.http.headers["Accept-Language"] = "de-AT, en;q=0.5"
    before = len(mail.server.received)
    shown = await ask(mail)
    assert "Sehen Sie in Ihr Postfach" in shown.text
    [letter] = (await mail.settle())[before:]
    assert "Passwort" in letter.text
    async with mail.installation.browser() as http:
        http.headers["Accept-Language"] = "en"
        page = await http.get(link_in(letter))
    assert "Choose a new password" in page.text
