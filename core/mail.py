"""The installation's way to send a letter: one SMTP server, or a folder for whoever tries Keystead out.

Knows nothing of tenants or templates. `open_mailer` answers None where neither is configured: then no feature that
needs mail is offered, and none pretends. A letter becomes a message by the standard library's structured headers, so
nothing of a name or an address can end its header (RFC 5322 section 2.2).
"""

import asyncio
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import idna

from core.clock import Clock
from core.settings import Settings, is_loopback

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NAME_LENGTH = 100

TENANT_HEADER = "X-Keystead-Tenant"
"""Of letters in a folder only: whose they are."""


class MailFailed(Exception):
    """The letter was not taken. `reason` is for a log: nothing of the letter. A final one is not worth another try."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        self.reason = reason
        self.is_final = is_final
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """`sender_name` is whose letter it is to the reader. The address that it comes from is the mailer's, but for a
    `sender_address`: who sets one knows that the mailer's server takes it. `tenant_id` is told to whoever reads the
    folder."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    sender_name: str = ""
    sender_address: str = ""
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """`smtps` speaks TLS from the first byte, `smtp` must be given it by STARTTLS except on loopback. `takes_any`: TLS
    where the server offers it."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    is_implicit: bool
    is_plain: bool
    takes_any: bool = False

    @classmethod
    def at(cls, url: str) -> "SmtpServer":
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_plain = parts.scheme == "smtp+plain" or (parts.scheme == "smtp" and is_loopback(host))
        return cls(
            host=host,
            port=parts.port or {"smtps": 465, "smtp": 587, "smtp+plain": 25}[parts.scheme],
            username=unquote(parts.username) if parts.username is not None else None,
            password=unquote(parts.password) if parts.password is not None else None,
            is_implicit=parts.scheme == "smtps",
            is_plain=is_plain,
        )


class Mailer(Protocol):
    async def send(self, letter: Letter) -> None:
        """Raises `MailFailed`."""

    async def close(self) -> None:
        """No letter is sent after it."""


def open_mailer(settings: Settings, clock: Clock) -> Mailer | None:
    sender = settings.mail_from or f"keystead@{settings.base_domain}"
    if settings.smtp_url is not None:
        from core.smtp import SmtpMailer  # loaded only where there is a mail server

        return SmtpMailer(SmtpServer.at(settings.smtp_url.reveal()), sender, clock)
    return FolderMailer(settings.mail_folder, sender, clock) if settings.mail_folder else None


class FolderMailer:
    """Every letter is a file `.eml`, which any mail program opens. For trying out: nobody is written to."""

    def __init__(self, folder: Path, sender: str, clock: Clock) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock

    async def send(self, letter: Letter) -> None:
        message = message_of(letter, self._sender, self._clock)
        if letter.tenant_id:
            message[TENANT_HEADER] = letter.tenant_id
        try:
            await asyncio.to_thread(self._write, bytes(message))
        except OSError as error:
            raise MailFailed(f"the mail folder cannot be written: {type(error).__name__}") from error

    async def close(self) -> None:
        """Nothing is open between two letters."""

    def _write(self, content: bytes) -> None:
        """Seen whole or not at all, and by its owner only: a letter holds codes and links."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{int(self._clock.now() * 1000):015d}-{secrets.token_hex(4)}"
        draft = self._folder / f".{name}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(self._folder / f"{name}.eml")


def letters_in(folder: Path) -> list[EmailMessage]:
    """What a folder mailer wrote, the oldest first."""
    return [
        message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=SMTPUTF8)
        for path in sorted(folder.glob("*.eml"))
    ]


def message_of(letter: Letter, sender: str, clock: Clock) -> EmailMessage:
    """Raises `MailFailed` for an address that no header can hold."""
    own_name, own_address = parseaddr(sender)
    own_address = letter.sender_address or own_address
    to = wire_address(letter.to)
    message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
    try:
        message["From"] = Address(clean(letter.sender_name) or own_name, addr_spec=own_address)
        Address(
            addr_spec=_NOT_ASCII.sub("x", to)
        )  # raises for what is no address; itself it refuses RFC 6531
        message["To"] = Address(username=to.rpartition("@")[0], domain=to.rpartition("@")[2])
        message["Subject"] = clean(letter.subject)
    except (MessageError, ValueError, IndexError) as error:
        raise MailFailed("the address cannot be written to", is_final=True) from error
    message["Date"] = format_datetime(datetime.fromtimestamp(int(clock.now()), UTC))
    message["Message-ID"] = make_msgid(domain=own_address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers to it
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def clean(text: str, length: int = _NAME_LENGTH) -> str:
    """One line that reads as it is written: without control characters and marks that turn its direction."""
    return _CONTROLS.sub(" ", text).strip()[:length]


def wire_address(address: str) -> str:
    """A domain outside ASCII has a spelling inside it; a local part outside it needs SMTPUTF8 (RFC 6531)."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError as error:
        raise MailFailed("the address cannot be written to", is_final=True) from error
