"""Letters leave by SMTP as they were written, to nobody else, and under TLS beyond loopback."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.mail import Letter, MailFailed, SmtpServer, letters_in, message_of, open_mailer
from core.settings import Secret, Settings, SettingsError
from core.smtp import SmtpMailer
from tests.authority import Authority, new_authority
from tests.smtp import smtp_server

pytestmark = pytest.mark.anyio

SENDER = "Example <login@example.com>"
LETTER = Letter(
    to="ada@example.org",
    subject="Your code",
    text="Your code is 123456.\n.\nBye",
    html="<p>Your code is <b>123456</b>.</p>",
    sender_name="Acme, Inc.",
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


def settings(folder: Path, url: str, **more: object) -> Settings:
    return Settings(data_dir=folder, smtp_url=Secret(url), mail_from=SENDER, **more)  # type: ignore[arg-type]


async def test_a_letter_arrives_whole_from_the_installations_address_in_the_tenants_name(
    tmp_path: Path,
) -> None:
    async with smtp_server() as server:
        mailer = open_mailer(settings(tmp_path, server.url()), SystemClock())
        assert mailer is not None
        await mailer.send(LETTER)
        (received,) = await server.letters(1)
    assert (received.sender, received.recipients) == ("login@example.com", ("ada@example.org",))
    assert received.message["from"] == '"Acme, Inc." <login@example.com>'
    assert (received.message["to"], received.message["subject"]) == ("ada@example.org", "Your code")
    assert received.text.splitlines() == ["Your code is 123456.", ".", "Bye"]
    assert "<b>123456</b>" in received.html
    assert server.greetings == ["example.com"]
    assert received.message["auto-submitted"] == "auto-generated"
    assert received.message["message-id"].endswith("@example.com>")


async def test_without_a_server_or_a_folder_there_is_no_mailer(tmp_path: Path) -> None:
    assert open_mailer(Settings(data_dir=tmp_path), SystemClock()) is None


@pytest.mark.parametrize(
    "evil",
    [
        "A\r\nBcc: mallory@example.net",
        "A\nX-Evil: 1",
        "A\u2028B",
        "\u202eevil",
        "\x00\x07",
        "é\r\n.\r\nQUIT",
    ],
)
async def test_nothing_of_a_name_or_a_subject_ends_its_header(tmp_path: Path, evil: str) -> None:
    async with smtp_server() as server:
        mailer = open_mailer(settings(tmp_path, server.url()), SystemClock())
        assert mailer is not None
        await mailer.send(replace(LETTER, sender_name=evil, subject=evil))
        (received,) = await server.letters(1)
    assert received.recipients == ("ada@example.org",)
    names = [name.lower() for name in received.message]
    assert not {"bcc", "x-evil"} & set(names)
    assert len(names) == len(set(names))
    assert not any(char in str(received.message["subject"]) for char in "\r\n\u2028\u202e\x00")


@pytest.mark.parametrize(
    "address",
    ["a@b.example\r\nBcc: m@example.net", "a..b@example.org", "a b@example.org", "ada@", "@example.org", ""],
)
async def test_an_address_that_no_header_can_hold_is_given_up_at_once(address: str) -> None:
    with pytest.raises(MailFailed) as failed:
        message_of(replace(LETTER, to=address), SENDER, SystemClock())
    assert failed.value.is_final


async def test_addresses_outside_ascii_are_written_to(tmp_path: Path) -> None:
    async with smtp_server() as server:
        mailer = open_mailer(settings(tmp_path, server.url()), SystemClock())
        assert mailer is not None
        await mailer.send(replace(LETTER, to="ada@bücher.example"))
        await mailer.send(replace(LETTER, to="ädä@example.org", subject="Ihr Schlüssel"))
        by_domain, by_local_part = await server.letters(2)
    assert by_domain.recipients == ("ada@xn--bcher-kva.example",)
    assert by_local_part.recipients == ("ädä@example.org",)
    assert by_local_part.message["subject"] == "Ihr Schlüssel"


async def test_a_password_is_shown_to_the_server_and_a_wrong_one_is_no_reason_to_give_up(
    tmp_path: Path,
) -> None:
    async with smtp_server(credentials=("keystead", "s:cret@")) as server:
        right = open_mailer(settings(tmp_path, server.url(user="keystead:s%3Acret%40@")), SystemClock())
        wrong = open_mailer(settings(tmp_path, server.url(user="keystead:wrong@")), SystemClock())
        assert right is not None
        assert wrong is not None
        await right.send(LETTER)
        with pytest.raises(MailFailed) as failed:
            await wrong.send(LETTER)
        assert len(server.received) == 1
    assert not failed.value.is_final
    assert "wrong" not in failed.value.reason


@pytest.mark.parametrize(("answer", "is_final"), [("550 no such user", True), ("451 later", False)])
async def test_who_is_refused_for_good_is_not_written_to_again(
    tmp_path: Path, answer: str, is_final: bool
) -> None:
    async with smtp_server(refuse=lambda _: answer) as server:
        mailer = open_mailer(settings(tmp_path, server.url()), SystemClock())
        assert mailer is not None
        with pytest.raises(MailFailed, match=answer[:3]) as failed:
            await mailer.send(LETTER)
    assert failed.value.is_final is is_final


async def test_a_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    async with smtp_server() as server:
        url = server.url()
    mailer = open_mailer(settings(tmp_path, url), SystemClock())
    assert mailer is not None
    with pytest.raises(MailFailed) as failed:
        await mailer.send(LETTER)
    assert not failed.value.is_final


@pytest.mark.parametrize("is_implicit", [False, True])
async def test_tls_is_required_and_checked_beyond_loopback(authority: Authority, is_implicit: bool) -> None:
    async with smtp_server(tls=authority.server, is_implicit=is_implicit) as server:
        there = SmtpServer("127.0.0.1", server.port, None, None, is_implicit=is_implicit, is_plain=False)
        await SmtpMailer(there, SENDER, SystemClock(), authorities=str(authority.file)).send(LETTER)
        with pytest.raises(MailFailed):
            await SmtpMailer(there, SENDER, SystemClock()).send(LETTER)
        (received,) = server.received
    assert received.was_encrypted


async def test_a_server_without_starttls_is_told_nothing() -> None:
    async with smtp_server() as server:
        there = SmtpServer("127.0.0.1", server.port, None, None, is_implicit=False, is_plain=False)
        with pytest.raises(MailFailed):
            await SmtpMailer(there, SENDER, SystemClock()).send(LETTER)
        assert server.received == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", (587, False, False)), ("smtps://mail.example.com", (465, True, False)),
        ("smtp+plain://relay.internal", (25, False, True)), ("smtp://localhost:2525", (2525, False, True)),
    ],
)  # fmt: skip
async def test_the_scheme_says_when_tls_begins(url: str, expected: tuple[int, bool, bool]) -> None:
    server = SmtpServer.at(url)
    assert (server.port, server.is_implicit, server.is_plain) == expected


async def test_a_folder_takes_letters_as_files_for_its_owner_alone(tmp_path: Path) -> None:
    mailer = open_mailer(Settings(data_dir=tmp_path, mail_folder=Path("mail")), SystemClock())
    assert mailer is not None
    await mailer.send(LETTER)
    await mailer.send(replace(LETTER, subject="Second"))
    assert sorted(letter["subject"] for letter in letters_in(tmp_path / "mail")) == ["Second", "Your code"]
    assert letters_in(tmp_path / "mail")[0]["from"].addresses[0].addr_spec == "keystead@localhost"
    files = list((tmp_path / "mail").iterdir())
    assert {file.suffix for file in files} == {".eml"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "mail").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "variables",
    [
        {"SMTP_URL": "mail.example.com:25"}, {"SMTP_URL": "http://mail.example.com"}, {"SMTP_URL": "smtp://"},
        {"SMTP_URL": "smtp://user@mail.example.com", "MAIL_FROM": "a@example.com"},
        {"SMTP_URL": "smtp://mail.example.com/path", "MAIL_FROM": "a@example.com"},
        {"SMTP_URL": "smtp://mail.example.com:x", "MAIL_FROM": "a@example.com"},
        {"SMTP_URL": "smtp://mail.example.com"},
        {"SMTP_URL": "smtp+plain://u:p@mail.example.com", "MAIL_FROM": "a@example.com"},
        {"SMTP_URL": "smtp://mail.example.com", "MAIL_FROM": "a@example.com", "MAIL_FOLDER": "mail"},
        {"MAIL_FROM": "nobody"}, {"MAIL_FROM": "a@b@c"}, {"MAIL_FROM": "a@example.com\r\nBcc: b@example.com"},
    ],
)  # fmt: skip
async def test_mail_settings_that_cannot_work_stop_the_start(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({f"KEYSTEAD_{name}": value for name, value in variables.items()})
    assert "u:p" not in str(refused.value)


async def test_the_mail_servers_password_does_not_show(tmp_path: Path) -> None:
    url = "smtp://user:pa55word@mail.example.com"
    assert "pa55word" not in repr(settings(tmp_path, url))
    assert "pa55word" not in repr(SmtpServer.at(url))
