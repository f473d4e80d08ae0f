"""Guessing passwords: what it costs whoever guesses, and what it does to whoever owns the account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from entrypoints.demo_content import Demo, DemoUser
from tenant_runtime.attack_protection import brute_force
from tests.installation import Installation
from tests.mailbox import Mailed, link_in, mailed
from tests.protocol.phone import Phone
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

BRUTE_FORCE = "/attack-protection/brute-force-protection"
SUSPICIOUS_IP = "/attack-protection/suspicious-ip-throttling"
AT_HOME, ELSEWHERE, FAR = "198.51.100.7", "203.0.113.9", "192.0.2.44"


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


@asynccontextmanager
async def person(
    installation: Installation, address: str, tenant_id: str = "acme", **headers: str
) -> AsyncIterator[RelyingParty]:
    transport = httpx.ASGITransport(installation.app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, headers=headers) as http:
        yield installation.relying_party(tenant_id, "spa", http=http)


async def guess(
    installation: Installation, address: str, times: int, tenant_id: str = "acme", email: str | None = None
) -> list[int]:
    async with person(installation, address, tenant_id) as party:
        await party.authorize()
        await party.browser.submit({"email": email or party.user.email})
        page, statuses = party.browser.response, []
        for number in range(times):
            party.browser.response = page
            party.http.headers["X-Forwarded-For"] = f"10.1.0.{number}"  # no proxy that is trusted said so
            statuses.append((await party.browser.submit({"password": f"wrong {number}"})).status_code)
        return statuses


async def enters(installation: Installation, address: str, tenant_id: str = "acme") -> bool:
    async with person(installation, address, tenant_id) as party:
        await party.authorize()
        await party.log_in()
        return party.browser.landed is not None


async def rows(mail: Mailed, what: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await mail.rows("acme", what)]


async def test_who_guesses_waits_and_the_owner_elsewhere_does_not(mail: Mailed) -> None:
    installation = mail.installation
    statuses = await guess(installation, FAR, 100)
    assert statuses == [400] * 10 + [429] * 90
    assert not await enters(installation, FAR), "the right password too, from there"
    assert await enters(installation, AT_HOME)
    assert await enters(installation, FAR, "globex"), "another tenant's account of the same name is another"
    installation.clock.advance(61)
    assert await guess(installation, FAR, 2) == [400, 429], "each further one doubles the wait"
    installation.clock.advance(61)
    assert not await enters(installation, FAR)
    installation.clock.advance(61)
    assert await enters(installation, FAR), "a wait ends by itself"
    types = [kind for (kind,) in await rows(mail, "SELECT type FROM log_events WHERE type LIKE 'limit%'")]
    assert set(types) == {"limit_wc"}
    assert len(types) <= 20, "a flood is told of, and does not fill the log"


async def test_a_name_that_nobody_has_is_counted_alike_and_shown_to_nobody(mail: Mailed) -> None:
    known = await guess(mail.installation, FAR, 12)
    assert known == await guess(mail.installation, FAR, 12, email="nobody@example.org")
    counted = "SELECT digest, user_id, ip, failures FROM login_attempts"
    held = await rows(mail, counted)
    assert len(held) == 4
    assert all("nobody" not in str(row) for row in held)
    manager = await mail.installation.manager("acme")
    assert await manager.status("GET", "/user-blocks?identifier=nobody@example.org") == 404


async def test_guesses_from_everywhere_make_strangers_wait_and_not_the_owner_at_home(mail: Mailed) -> None:
    """What a hundred networks can do to the owner of an account is bounded by five minutes, and ends at the network of
    the last sign-in."""
    installation, manager = mail.installation, await mail.installation.manager("acme")
    await manager.patch(BRUTE_FORCE, {"max_attempts": 2})
    assert await enters(installation, AT_HOME)
    for number in range(10):
        assert await guess(installation, f"203.0.113.{number}", 2) == [400, 400]
    assert await guess(installation, FAR, 1) == [429]
    assert not await enters(installation, ELSEWHERE)
    assert await enters(installation, AT_HOME)
    installation.clock.advance(301)
    assert await enters(installation, ELSEWHERE)


async def test_addresses_of_one_network_are_one(mail: Mailed) -> None:
    await (await mail.installation.manager("acme")).patch(BRUTE_FORCE, {"max_attempts": 3})
    statuses = [(await guess(mail.installation, f"2001:db8:1:2::{number:x}", 1))[0] for number in range(4)]
    assert statuses == [400, 400, 400, 429]
    assert await guess(mail.installation, "2001:db8:1:3::1", 1) == [400]


@pytest.mark.parametrize(
    "way", ["letter", "reset", "operator by id", "operator by identifier", "operator's password"]
)
async def test_a_block_is_lifted(mail: Mailed, way: str) -> None:
    installation, user = mail.installation, mail.tenant().users[0]
    manager = await installation.manager("acme")
    assert await guess(installation, FAR, 11) == [400] * 10 + [429]
    user_id = (await manager.get("/users-by-email", email=user.email))[0]["user_id"]
    blocked = {"blocked_for": [{"identifier": user.email, "ip": FAR}]}
    assert await manager.get(f"/user-blocks/{user_id}") == blocked
    assert await manager.get("/user-blocks", identifier=user.email.upper()) == {
        "blocked_for": [{"identifier": user.email.upper(), "ip": FAR}]
    }
    (letter,) = await mail.settle()
    assert (letter.recipients, FAR in letter.text) == ((user.email,), True)
    match way:
        case "letter":
            async with installation.browser() as http:
                party = installation.relying_party("acme", "spa", http=http)
                page = await party.browser.open(link_in(letter))
                assert page.status_code == 200
                assert not await enters(installation, FAR), "what fetches the links of a mail ends nothing"
                assert (await party.browser.submit()).status_code == 200
                assert (await party.browser.open(link_in(letter))).status_code == 403
        case "reset":
            async with person(installation, ELSEWHERE) as party:
                await party.authorize()
                await party.browser.submit({"email": user.email})
                await party.browser.open(f"{party.issuer}u/reset-password/request?{state_of(party)}")
                await party.browser.submit({"email": user.email})
                link = link_in((await mail.settle())[-1])
                await party.browser.open(link)
                await party.browser.submit({"password": user.password + " again"})
        case "operator's password":
            await manager.patch(f"/users/{user_id}", {"password": user.password + " again"})
        case "operator by id":
            await manager.delete(f"/user-blocks/{user_id}")
        case _:
            await manager.delete(f"/user-blocks?identifier={user.email}")
    assert await manager.get(f"/user-blocks/{user_id}") == {"blocked_for": []}
    password = user.password + (" again" if way in ("reset", "operator's password") else "")
    async with person(installation, FAR) as party:
        party.user = DemoUser(user.email, password)
        await party.authorize()
        await party.log_in()
        assert party.browser.landed is not None


def state_of(party: RelyingParty) -> str:
    assert party.browser.response is not None
    return party.browser.response.url.query.decode()


async def test_what_the_settings_say_is_done(mail: Mailed) -> None:
    installation, manager = mail.installation, await mail.installation.manager("acme")
    await manager.patch(BRUTE_FORCE, {"max_attempts": 2, "mode": "count_per_identifier"})
    assert await guess(installation, FAR, 3) == [400, 400, 429]
    assert not await enters(installation, AT_HOME), "the account, wherever from"
    user_id = (await manager.get("/users-by-email", email=mail.tenant().users[0].email))[0]["user_id"]
    assert (await manager.get(f"/user-blocks/{user_id}"))["blocked_for"] == [
        {"identifier": mail.tenant().users[0].email}
    ]
    await manager.patch(BRUTE_FORCE, {"shields": ["user_notification"]})
    assert await enters(installation, AT_HOME)
    sent = len(await mail.settle())
    assert await guess(installation, FAR, 5) == [400] * 5, "told of, not blocked"
    assert len(await mail.settle()) == sent, "the owner was told within this hour"
    await manager.patch(BRUTE_FORCE, {"shields": ["block"], "allowlist": [f"{FAR}/32"]})
    assert await guess(installation, FAR, 5) == [400] * 5
    assert await guess(installation, ELSEWHERE, 5) == [429] * 5, "those of FAR before it was listed count"
    await manager.patch(BRUTE_FORCE, {"enabled": False})
    assert await guess(installation, ELSEWHERE, 5) == [400] * 5


async def test_many_accounts_from_one_address_are_few(mail: Mailed) -> None:
    installation, manager = mail.installation, await mail.installation.manager("acme")
    await mail.set(support_email="support@example.org")
    stage = {"pre-login": {"max_attempts": 5, "rate": 60_000}}
    assert (await manager.patch(SUSPICIOUS_IP, {"stage": stage}))["stage"] == {
        **stage,
        "pre-user-registration": {"max_attempts": 50, "rate": 1200},
    }
    for _ in range(3):
        assert await enters(installation, FAR), "what was right is given back"
    emails = [f"user{number}@example.org" for number in range(7)]
    statuses = [(await guess(installation, FAR, 1, email=email))[0] for email in emails]
    assert statuses == [400] * 5 + [429] * 2
    assert not await enters(installation, FAR)
    assert await enters(installation, ELSEWHERE)
    assert await enters(installation, FAR, "globex")
    assert await manager.status("GET", f"/anomaly/blocks/ips/{FAR}") == 200
    assert await manager.status("GET", f"/anomaly/blocks/ips/{ELSEWHERE}") == 404
    assert [letter.recipients for letter in await mail.settle()] == [("support@example.org",)]
    await manager.delete(f"/anomaly/blocks/ips/{FAR}")
    assert await manager.status("GET", f"/anomaly/blocks/ips/{FAR}") == 404
    assert await enters(installation, FAR)
    assert {kind for (kind,) in await rows(mail, "SELECT type FROM log_events WHERE type LIKE 'limit%'")} == {
        "limit_mu"
    }


async def test_counts_are_rows_and_are_swept_by_those_who_add_to_them(
    mail: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So all processes and nodes agree, and no tenant keeps what is over."""
    monkeypatch.setattr(brute_force, "SWEEP_WHEN", "")
    installation = mail.installation
    assert await guess(installation, FAR, 10) == [400] * 10
    held = "SELECT failures FROM login_attempts WHERE ip IS NOT NULL"
    assert await rows(mail, held) == [(10,)]
    installation.clock.advance(3 * 86_400)
    await guess(installation, FAR, 1, email="nobody@example.org")
    assert await rows(mail, held) == [(1,)]


async def test_codes_by_mail_are_guessed_as_seldom_as_passwords(mail: Mailed) -> None:
    """Three guesses end a code; who asks for new ones to guess at waits."""
    phone = Phone(mail, await mail.client())
    await (await mail.installation.manager("acme")).patch(BRUTE_FORCE, {"max_attempts": 4})
    statuses = []
    for _ in range(2):
        await phone.start("ada@example.org")
        statuses += [(await phone.redeem("000000", "ada@example.org")).status_code for _ in range(3)]
    assert statuses == [400] * 4 + [429] * 2
    mail.installation.clock.advance(61)
    await mail.settle()
    code = await phone.code("ada@example.org")
    assert (await phone.redeem(code, "ada@example.org")).status_code == 200
    assert await rows(mail, "SELECT count(*) FROM login_attempts WHERE ip IS NOT NULL") == [(0,)]
