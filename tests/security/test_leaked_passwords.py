"""Passwords that are known from leaks: looked up in a file on this machine. What follows is the tenant's to say."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.settings import SettingsError
from entrypoints.asgi import create_app
from entrypoints.demo_content import Demo, DemoUser
from tenant_runtime.attack_protection.leaked_passwords import LeakedPasswords
from tests.conftest import settings_for
from tests.mailbox import Mailed, link_in, mailed
from tests.organizations.people import visitor

pytestmark = pytest.mark.anyio

PATH = "/attack-protection/breached-password-detection"
LEAKED = "four plain words leaked"
SUPPORT = "support@example.org"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def listed(path: Path, passwords: Iterable[str], *, line: str = "{}:{}\r\n") -> Path:
    hashes = sorted(map(sha1, passwords))
    path.write_bytes("".join(line.format(each, number) for number, each in enumerate(hashes)).encode())
    return path


@pytest.mark.parametrize("line", ["{}:{}\r\n", "{}:{}\n", "{}\n"], ids=["public", "unix", "bare"])
async def test_a_password_is_found_wherever_it_stands(tmp_path: Path, line: str) -> None:
    known = [f"password number {number}" for number in range(1000)]
    file = listed(tmp_path / "list", known, line=line)
    if line == "{}\n":
        file.write_bytes(file.read_bytes().rstrip().lower())  # no newline at the end, and small letters
    passwords = LeakedPasswords(file)
    assert all([await passwords.knows(each) for each in known])
    assert not any([await passwords.knows(f"other {number}") for number in range(1000)])
    passwords.close()


async def test_one_line_and_broken_lines_end_the_search(tmp_path: Path) -> None:
    one = LeakedPasswords(listed(tmp_path / "one", [LEAKED]))
    assert await one.knows(LEAKED)
    assert not await one.knows("another password")
    content = listed(tmp_path / "list", [str(number) for number in range(500)]).read_bytes()
    spoilt = bytearray(content)
    for place in Random(7).sample(range(64, len(content)), 400):
        spoilt[place] = Random(place).randrange(256)
    (tmp_path / "spoilt").write_bytes(spoilt)
    passwords = LeakedPasswords(tmp_path / "spoilt")
    assert len([await passwords.knows(str(number)) for number in range(1000)]) == 1000


async def test_without_a_file_the_short_list_counts() -> None:
    assert await LeakedPasswords().knows("password1")
    assert not await LeakedPasswords().knows(LEAKED)


@pytest.mark.parametrize("content", [None, b"", b"no list of hashes at all, but a text of some length\n"])
async def test_what_is_no_list_stops_the_start(
    golden: tuple[Path, Demo], tmp_path: Path, content: bytes | None
) -> None:
    shutil.copytree(golden[0], tmp_path / "data")
    if content is not None:
        (tmp_path / "data" / "leaked.txt").write_bytes(content)
    app = create_app(settings_for(tmp_path / "data", breached_passwords_file=Path("leaked.txt")))
    with pytest.raises(SettingsError, match="KEYSTEAD_BREACHED_PASSWORDS_FILE"):
        async with app.lifespan():
            pass


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    users = [user.password for tenant in golden[1].tenants for user in tenant.users]
    file = listed(tmp_path / "leaked.txt", [LEAKED, *users])
    async with mailed(golden, tmp_path, breached_passwords_file=file) as made:
        await made.set(support_email=SUPPORT)
        yield made


async def say(mail: Mailed, **members: Any) -> None:
    await (await mail.installation.manager("acme")).patch(PATH, {"enabled": True, **members})


async def types(mail: Mailed) -> list[str]:
    rows = await mail.rows("acme", "SELECT type FROM log_events WHERE type LIKE '%leak' ORDER BY created_at")
    return [row.type for row in rows]


async def sign_up(mail: Mailed, email: str, password: str = LEAKED) -> tuple[int, str]:
    tenant = mail.tenant()
    body = {
        "client_id": tenant.clients["spa"].client_id,
        "connection": "Username-Password-Authentication",
        "email": email,
        "password": password,
    }
    answer = await mail.http.post(f"{tenant.issuer}dbconnections/signup", json=body)
    return answer.status_code, answer.json().get("code", "")


async def test_nothing_is_looked_up_until_the_tenant_says_so(mail: Mailed) -> None:
    user = mail.tenant().users[0]
    assert await mail.can_sign_in(user.email, user.password)
    assert await sign_up(mail, "new@example.org") == (200, "")
    assert await types(mail) == []


async def test_signing_in_with_one_is_told_of_or_refused(mail: Mailed) -> None:
    user = mail.tenant().users[0]
    await say(
        mail, shields=["user_notification", "admin_notification"], admin_notification_frequency=["daily"]
    )
    for _ in range(2):
        assert await mail.can_sign_in(user.email, user.password)
    assert await types(mail) == ["pwd_leak"] * 2
    letters = await mail.settle()
    assert sorted(letter.recipients for letter in letters) == sorted([(user.email,), (SUPPORT,)]), "once each"
    assert all(user.password not in letter.raw.decode() for letter in letters)
    await say(mail, shields=["block"])
    assert not await mail.can_sign_in(user.email, user.password)
    assert not await mail.can_sign_in(user.email, "wrong"), "which is another answer than for"
    assert await mail.can_sign_in(
        mail.tenant("globex").users[0].email, mail.tenant("globex").users[0].password, "globex"
    )


async def test_choosing_one_is_refused_by_each_door(mail: Mailed) -> None:
    await say(mail, stage={"pre-user-registration": {"shields": ["block", "admin_notification"]}})
    assert await sign_up(mail, "new@example.org") == (400, "password_leaked")
    assert await sign_up(mail, "new@example.org", "five plain words nobody leaked") == (200, "")
    async with mail.installation.browser() as http:
        party = mail.installation.relying_party("acme", "spa", http=http)
        await party.authorize(screen_hint="signup")
        refused = await party.browser.submit({"email": "other@example.org", "password": LEAKED})
        assert (refused.status_code, "known from a leak" in refused.text) == (400, True)
    assert await types(mail) == ["signup_pwd_leak"] * 2
    told = [letter.recipients for letter in await mail.settle()]
    assert told.count((SUPPORT,)) == 2


async def test_a_new_password_by_a_link_is_none_of_them(mail: Mailed) -> None:
    user, tenant = mail.tenant().users[0], mail.tenant()
    await say(mail, stage={"pre-change-password": {"shields": ["block"]}})
    asked = {
        "client_id": tenant.clients["spa"].client_id,
        "email": user.email,
        "connection": "Username-Password-Authentication",
    }
    await mail.http.post(f"{tenant.issuer}dbconnections/change_password", json=asked)
    link = link_in((await mail.settle())[-1])
    async with mail.installation.browser() as http:
        party = mail.installation.relying_party("acme", "spa", http=http)
        party.user = DemoUser(user.email, user.password)
        await party.browser.open(link)
        refused = await party.browser.submit({"password": LEAKED})
        assert (refused.status_code, "known from a leak" in refused.text) == (400, True)
        assert (await party.browser.submit({"password": "five plain words nobody leaked"})).status_code == 200
    assert await types(mail) == ["reset_pwd_leak"]
    assert await mail.can_sign_in(user.email, "five plain words nobody leaked")


async def test_the_organization_api_refuses_them_and_lets_their_owners_be_rid_of_them(mail: Mailed) -> None:
    user = mail.tenant().users[0]
    ada = await visitor(mail.installation, email=user.email, password=user.password).sign_in()
    block = {"shields": ["block"]}
    await say(mail, **block, stage={"pre-user-registration": block, "pre-change-password": block})
    stranger = visitor(mail.installation)
    for path, body in (
        ("/sign-in/email", {"email": user.email, "password": user.password}),
        ("/sign-up/email", {"name": "", "email": "new@example.org", "password": LEAKED}),
    ):
        refused = await stranger.post(path, **body)
        assert (refused.status, refused.code) == (400, "PASSWORD_COMPROMISED"), path
    known = {"currentPassword": user.password, "newPassword": LEAKED}
    assert (await ada.post("/change-password", **known)).code == "PASSWORD_COMPROMISED"
    changed = await ada.post("/change-password", **known | {"newPassword": "five plain words nobody leaked"})
    assert changed.status == 200
    assert await types(mail) == ["pwd_leak", "signup_pwd_leak", "reset_pwd_leak"]
