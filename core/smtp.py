"""Letters by way of an SMTP server (RFC 5321)."""

import ssl
from dataclasses import dataclass, field
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib
import certifi

from core.clock import Clock
from core.mail import Letter, MailFailed, message_of, wire_address
from core.settings import is_loopback

SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """`smtps` speaks TLS from the first byte, `smtp` must be given it by STARTTLS except on loopback."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    is_implicit: bool
    is_plain: bool

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


class SmtpMailer:
    def __init__(
        self, server: SmtpServer, sender: str, clock: Clock, *, authorities: str | None = None
    ) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=authorities or certifi.where())
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    async def send(self, letter: Letter) -> None:
        server, message = self._server, message_of(letter, self._sender, self._clock)
        sender = parseaddr(self._sender)[1]
        try:
            await aiosmtplib.send(
                message,
                sender=sender,
                recipients=[wire_address(letter.to)],
                hostname=server.host,
                local_hostname=sender.rpartition("@")[2],  # else the machine's own name is looked up and told
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.is_implicit,
                start_tls=not server.is_plain and not server.is_implicit,
                tls_context=None if server.is_plain else self._tls,
                timeout=SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise MailFailed(_answered(min(codes)), is_final=min(codes) >= 500) from error
        except aiosmtplib.SMTPDataError as error:
            raise MailFailed(_answered(error.code), is_final=error.code >= 500) from error
        except aiosmtplib.SMTPResponseException as error:
            raise MailFailed(_answered(error.code)) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise MailFailed(f"the mail server could not be used: {type(error).__name__}") from error


def _answered(code: int) -> str:
    return f"the mail server answered {code}"
