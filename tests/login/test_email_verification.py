"""An address is proved by a link: used up by its page's button alone, once, and only while it is the user's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from entrypoints.browser import Browser
from entrypoints.demo_content import CALLBACK, SIGNED_OUT, Demo
from tests.conftest import serving, settings_for
from tests.isolation.rows import everything_written
from tests.mailbox import Mailed, link_in, mailed

pytestmark = pytest.mark.anyio

DATABASE = "Username-Password-Authentication"
PASSWORD = "correct horse battery staple"
NEW = "someone@acme.example"
PAGE = "u/email-verification"


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


async def make(mail: Mailed, email: str = NEW, **members: Any) -> dict[str, Any]:
    manager = await mail.installation.manager("acme")
    user: dict[str, Any] = await manager.post(
        "/users", {"connection": DATABASE, "email": email, "password": PASSWORD, **members}
    )
    return user


async def letters(mail: Mailed) -> list[str]:
    """The links of all letters that ask for a proof, the oldest first."""
    return [link_in(letter) for letter in await mail.settle() if PAGE in letter.text]


async def press(mail: Mailed, url: str) -> httpx.Response:
    """In a browser that nobody has used before."""
    async with mail.installation.browser() as http:
        browser = Browser(http, stops=(CALLBACK, SIGNED_OUT, "https://"))
        page = await browser.open(url)
        if page.status_code != 200:
            return page
        form = browser.forms()[0]
        origin = {"Origin": mail.tenant().issuer.rstrip("/")}
        return await http.post(str(page.url).partition("?")[0], data=form.fields, headers=origin)


async def is_verified(mail: Mailed, email: str = NEW) -> bool:
    manager = await mail.installation.manager("acme")
    [user] = await manager.get("/users-by-email", email=email)
    return bool(user["email_verified"])


async def change(mail: Mailed, user_id: str, **members: Any) -> Any:
    return await (await mail.installation.manager("acme")).patch(f"/users/{user_id}", members)


async def test_a_new_account_is_asked_to_prove_its_address_and_the_button_proves_it(mail: Mailed) -> None:
    body = {
        "client_id": mail.tenant().clients["spa"].client_id,
        "connection": DATABASE,
        "email": NEW,
        "password": PASSWORD,
        "email_verified": "true",
    }
    made = (await mail.http.post(f"{mail.tenant().issuer}dbconnections/signup", json=body)).json()
    assert made["email_verified"] is False  # `specs/bad-inputs.md` 111
    [url] = await letters(mail)
    assert not await is_verified(mail)
    done = await press(mail, url)
    assert (done.status_code, "Your address is verified" in done.text) == (200, True)
    assert await is_verified(mail)
    types = {row[0] for row in await mail.rows("acme", "SELECT type FROM log_events")}
    assert {"svr", "sv"} <= types
    assert [letter.recipients for letter in await mail.settle()] == [(NEW,)]


async def test_who_signs_up_by_the_page_gets_the_letter_too(mail: Mailed) -> None:
    party = mail.installation.relying_party("acme", "spa")
    await party.authorize(screen_hint="signup")
    await party.browser.submit({"email": NEW, "password": PASSWORD, "name": "New"})
    assert "code" in party.landed
    [url] = await letters(mail)
    await press(mail, url)
    assert await is_verified(mail)


async def test_fetching_the_link_uses_nothing_up(mail: Mailed) -> None:
    """What opens every link of a mail must neither prove an address nor spoil the link."""
    await make(mail)
    [url] = await letters(mail)
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        assert (await mail.http.request(method, url)).status_code in (200, 204, 405)
    assert not await is_verified(mail)
    assert (await press(mail, url)).status_code == 200


async def test_a_link_is_used_once_even_by_ten_at_once(mail: Mailed) -> None:
    user = await make(mail)
    [url] = await letters(mail)
    answers = await asyncio.gather(*(press(mail, url) for _ in range(10)))
    assert [answer.status_code for answer in answers].count(200) == 1
    await change(mail, user["user_id"], email_verified=False)
    assert (await press(mail, url)).status_code == 403
    assert not await is_verified(mail)


@pytest.mark.parametrize("change_made", ["address", "address and back", "blocked", "deleted", "time"])
async def test_a_link_is_for_the_user_and_the_address_as_they_are(mail: Mailed, change_made: str) -> None:
    """`specs/bad-inputs.md` 110: after the address changed the old link is refused."""
    user = await make(mail)
    [url] = await letters(mail)
    user_id, other = user["user_id"], "moved@acme.example"
    if change_made.startswith("address"):
        await change(mail, user_id, email=other)
    if change_made == "blocked":
        await change(mail, user_id, blocked=True)
    if change_made == "deleted":
        await (await mail.installation.manager("acme")).delete(f"/users/{user_id}")
        await make(mail, verify_email=False)  # somebody else has the address now
    if change_made == "time":
        mail.installation.clock.advance(5 * 86_400 + 1)
        mail.installation._tokens.clear()
    if change_made == "address and back":
        await change(mail, user_id, email=NEW)
        assert (await press(mail, url)).status_code == 200  # it is the address that it was made for
        return
    refused = await press(mail, url)
    assert refused.status_code == 403
    assert "location" not in refused.headers
    for email in (NEW, other):
        manager = await mail.installation.manager("acme")
        assert not any(found["email_verified"] for found in await manager.get("/users-by-email", email=email))


async def test_a_new_address_gets_a_letter_of_its_own_when_asked_for(mail: Mailed) -> None:
    user = await make(mail, verify_email=False)
    assert await letters(mail) == []
    client_id = mail.tenant().clients["spa"].client_id
    await change(mail, user["user_id"], email="moved@acme.example")
    assert await letters(mail) == []
    await change(mail, user["user_id"], email="again@acme.example", verify_email=True, client_id=client_id)
    [letter] = await mail.settle()
    assert (letter.recipients, "new address" in letter.message["subject"]) == (("again@acme.example",), True)
    await press(mail, link_in(letter))
    assert await is_verified(mail, "again@acme.example")
    await change(mail, user["user_id"], verify_email=True)
    assert len(await mail.settle()) == 1  # there is nothing left to prove


async def test_a_link_of_one_tenant_is_none_in_another_even_for_the_same_address(mail: Mailed) -> None:
    manager = await mail.installation.manager("globex")
    await manager.post("/users", {"connection": DATABASE, "email": NEW, "verify_email": False})
    await make(mail)
    [url] = await letters(mail)
    elsewhere = f"{mail.tenant('globex').issuer}{PAGE}?{urlsplit(url).query}"
    assert (await mail.http.get(elsewhere)).status_code == 403
    [found] = await manager.get("/users-by-email", email=NEW)
    assert found["email_verified"] is False
    assert (await press(mail, url)).status_code == 200


async def test_a_form_from_elsewhere_or_of_another_browser_proves_nothing(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 104."""
    await make(mail)
    [url] = await letters(mail)
    ticket, address = parse_qs(urlsplit(url).query)["ticket"][0], f"{mail.tenant().issuer}{PAGE}"
    origin = {"Origin": mail.tenant().issuer.rstrip("/")}
    async with mail.installation.browser() as victim, mail.installation.browser() as attacker:
        browser, other = Browser(victim, stops=()), Browser(attacker, stops=())
        await browser.open(url)
        await other.open(url)
        fields, foreign = browser.forms()[0].fields, other.forms()[0].fields
        for attempt in (
            victim.post(address, data=fields, headers={"Origin": "https://evil.example"}),
            victim.post(address, data=fields, headers={"Sec-Fetch-Site": "cross-site"}),
            victim.post(address, data={"state": ticket}, headers=origin),
            victim.post(address, data=foreign, headers=origin),
            victim.get(address, params=fields),
        ):
            assert (await attempt).status_code == 403
    assert not await is_verified(mail)


async def test_tickets_of_other_kinds_and_what_resembles_one_prove_nothing(mail: Mailed) -> None:
    """`specs/bad-inputs.md` 61."""
    user = await make(mail)
    [url] = await letters(mail)
    ticket, issuer = parse_qs(urlsplit(url).query)["ticket"][0], mail.tenant().issuer
    for wrong in ("", "x", ticket[:-1], ticket + "x", ticket.swapcase(), "../" + ticket):
        assert (await mail.http.get(f"{issuer}{PAGE}", params={"ticket": wrong})).status_code == 403
    assert (await mail.http.get(f"{issuer}u/reset-password", params={"ticket": ticket})).status_code == 403
    manager = await mail.installation.manager("acme")
    reset = await manager.post("/tickets/password-change", {"user_id": user["user_id"]})
    other = parse_qs(urlsplit(reset["ticket"]).query)["ticket"][0]
    assert (await mail.http.get(f"{issuer}{PAGE}", params={"ticket": other})).status_code == 403


async def test_the_links_secret_stands_nowhere_but_in_the_letter_and_its_page_tells_nobody(
    mail: Mailed,
) -> None:
    await make(mail)
    [url] = await letters(mail)
    ticket = parse_qs(urlsplit(url).query)["ticket"][0]
    assert ticket.encode() not in await everything_written(mail.installation)
    page = await mail.http.get(url)
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"


async def test_without_mail_accounts_are_made_all_the_same(data_dir: Path, golden: tuple[Path, Demo]) -> None:
    async with serving(settings_for(data_dir), golden[1]) as installation:
        manager = await installation.manager("acme")
        body = {"connection": DATABASE, "email": NEW}
        user = await manager.post("/users", body)
        assert user["email_verified"] is False
        path = f"/users/{user['user_id']}"
        assert await manager.status("PATCH", path, {"verify_email": True}) == 400
        again = {**body, "email": "x@acme.example", "verify_email": True}
        assert await manager.status("POST", "/users", again) == 400
        assert await manager.get("/users-by-email", email="x@acme.example") == []


async def test_nobodys_mailbox_is_filled_by_who_may_change_users(mail: Mailed) -> None:
    manager, user = await mail.installation.manager("acme"), await make(mail)
    path = f"/users/{user['user_id']}"
    asked = [await manager.status("PATCH", path, {"verify_email": True}) for _ in range(11)]
    assert (asked[0], asked[-1]) == (200, 429)  # a new window may begin meanwhile
    assert await manager.status("POST", "/jobs/verification-email", {"user_id": user["user_id"]}) == 429
    assert await manager.status("DELETE", path) == 204
    again = {"connection": DATABASE, "email": NEW, "verify_email": True}
    assert await manager.status("POST", "/users", again) == 429
    assert await manager.get("/users-by-email", email=NEW) == []
    assert len(await letters(mail)) <= 10
