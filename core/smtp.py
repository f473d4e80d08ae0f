"""Letters by way of an SMTP server (RFC 5321)."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.message import EmailMessage
from email.utils import parseaddr
from typing import TypeAlias

import aiosmtplib
import certifi

from core.clock import Clock
from core.mail import Letter, MailFailed, SmtpServer, message_of, wire_address
from core.outbound import OutboundFailed, OutboundRefused

SECONDS = 20.0
QUIT_SECONDS = 2.0
KEPT = 2
KEPT_SECONDS = 15.0
"""Of one server's connections, between two letters."""

Connect: TypeAlias = Callable[[str, int], Awaitable[socket.socket]]


class SmtpMailer:
    """Keeps a few connections open from one letter to the next, for a moment. `connect` makes the connection where the
    server's address is somebody else's choice (`core.outbound`)."""

    def __init__(
        self,
        server: SmtpServer,
        sender: str,
        clock: Clock,
        *,
        authorities: str | None = None,
        tls: ssl.SSLContext | None = None,
        connect: Connect | None = None,
    ) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock
        self._connect = connect
        self._tls = tls or _trusting(authorities or certifi.where())
        self._idle: list[aiosmtplib.SMTP] = []
        self._timers: dict[aiosmtplib.SMTP, asyncio.TimerHandle] = {}
        self._quitting: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def send(self, letter: Letter) -> None:
        message = message_of(letter, self._sender, self._clock)
        try:
            await self._hand_in(message, wire_address(letter.to))
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise MailFailed(_answered(min(codes)), is_final=min(codes) >= 500) from error
        except aiosmtplib.SMTPDataError as error:
            raise MailFailed(_answered(error.code), is_final=error.code >= 500) from error
        except aiosmtplib.SMTPResponseException as error:
            raise MailFailed(_answered(error.code)) from error
        except (OutboundFailed, OutboundRefused) as error:
            raise MailFailed(f"the mail server could not be reached: {error}") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise MailFailed(f"the mail server could not be used: {type(error).__name__}") from error

    async def close(self) -> None:
        self._is_closed = True
        for timer in self._timers.values():
            timer.cancel()
        idle, self._idle = self._idle, []
        self._timers.clear()
        await asyncio.gather(*map(_quit, idle), *self._quitting)

    async def _hand_in(self, message: EmailMessage, recipient: str) -> None:
        """A server may have ended a kept connection meanwhile: the letter then goes by a new one."""
        kept = self._kept()
        if kept is not None:
            try:
                await self._over(kept, message, recipient)
            except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
                pass
            else:
                return
        await self._over(await self._opened(), message, recipient)

    async def _over(self, client: aiosmtplib.SMTP, message: EmailMessage, recipient: str) -> None:
        try:
            await client.send_message(message, sender=_sender_of(message), recipients=[recipient])
        except aiosmtplib.SMTPResponseException:
            await _quit(client)
            raise
        except BaseException:
            client.close()
            raise
        self._keep(client)

    async def _opened(self) -> aiosmtplib.SMTP:
        server = self._server
        connection = await self._connect(server.host, server.port) if self._connect is not None else None
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port if connection is None else None,
            sock=connection,
            local_hostname=parseaddr(self._sender)[1].rpartition("@")[2],  # else the machine's name is told
            username=server.username,
            password=server.password,
            use_tls=server.is_implicit,
            start_tls=None if server.takes_any else not server.is_plain and not server.is_implicit,
            tls_context=None if server.is_plain else self._tls,
            timeout=SECONDS,
        )
        try:
            await client.connect()
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return client

    # --- between two letters ---------------------------------------------------------------------------------

    def _kept(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            client = self._idle.pop()
            self._timers.pop(client).cancel()
            if client.is_connected:
                return client
            client.close()
        return None

    def _keep(self, client: aiosmtplib.SMTP) -> None:
        if self._is_closed or len(self._idle) >= KEPT:
            self._let_go(client)
            return
        self._idle.append(client)
        loop = asyncio.get_running_loop()
        self._timers[client] = loop.call_later(KEPT_SECONDS, self._expired, client)

    def _expired(self, client: aiosmtplib.SMTP) -> None:
        self._idle.remove(client)
        del self._timers[client]
        self._let_go(client)

    def _let_go(self, client: aiosmtplib.SMTP) -> None:
        task = asyncio.create_task(_quit(client))
        self._quitting.add(task)
        task.add_done_callback(self._quitting.discard)


async def _quit(client: aiosmtplib.SMTP) -> None:
    """Politely, as far as the server lets us."""
    with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await client.quit(timeout=QUIT_SECONDS)
    client.close()


def _sender_of(message: EmailMessage) -> str:
    return str(message["From"].addresses[0].addr_spec)


def _trusting(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _answered(code: int) -> str:
    return f"the mail server answered {code}"
