"""A little mail server on loopback (RFC 5321), for tests: keeps what it is sent, or refuses it."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8


@dataclass(frozen=True, slots=True)
class Received:
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes
    was_encrypted: bool

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())


def _accepts(_: str) -> str | None:
    return None


@dataclass(slots=True)
class SmtpServer:
    """`refuse` answers a line such as `550 no such user` for a recipient it does not want."""

    tls: ssl.SSLContext | None = None
    is_implicit: bool = False
    credentials: tuple[str, str] | None = None
    refuse: Callable[[str], str | None] = _accepts
    received: list[Received] = field(default_factory=list)
    greetings: list[str] = field(default_factory=list)
    port: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, scheme: str = "smtp", *, user: str = "") -> str:
        return f"{scheme}://{user}127.0.0.1:{self.port}"

    async def letters(self, count: int, seconds: float = 10) -> list[Received]:
        """Waits until there are that many."""
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Conversation(self, reader, writer).hold()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def keep(self, received: Received) -> None:
        self.received.append(received)
        self._arrived.set()


@dataclass(slots=True)
class _Conversation:
    server: SmtpServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    is_encrypted: bool = False
    is_known: bool = False

    async def hold(self) -> None:
        self.is_encrypted = self.server.is_implicit
        await self._say("220 mail.test ESMTP")
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    self.server.greetings.append(rest)
                    await self._say(*self._greeting())
                case "STARTTLS":
                    await self._say("220 go ahead")
                    assert self.server.tls is not None
                    await self.writer.start_tls(self.server.tls)
                    self.is_encrypted = True
                case "AUTH":
                    await self._authenticate(rest)
                case "MAIL":
                    self.sender, self.recipients = rest.partition("<")[2].partition(">")[0], []
                    needs = self.server.credentials is not None and not self.is_known
                    await self._say("530 authenticate first" if needs else "250 ok")
                case "RCPT":
                    await self._recipient(rest.partition("<")[2].rpartition(">")[0])
                case "DATA":
                    await self._data()
                case "QUIT":
                    await self._say("221 bye")
                    return
                case _:
                    await self._say("250 ok")

    def _greeting(self) -> list[str]:
        offers = ["SMTPUTF8", "8BITMIME"]
        if self.server.tls is not None and not self.is_encrypted:
            offers.append("STARTTLS")
        if self.server.credentials is not None:
            offers.append("AUTH PLAIN")
        return ["250-mail.test", *(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"]

    async def _authenticate(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self.is_known = (user, password) == self.server.credentials
        await self._say("235 welcome" if self.is_known else "535 wrong")

    async def _recipient(self, address: str) -> None:
        refusal = self.server.refuse(address)
        if refusal is None:
            self.recipients.append(address)
        await self._say(refusal or "250 ok")

    async def _data(self) -> None:
        await self._say("354 end with a dot")
        raw = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3]
        raw = raw.replace(b"\r\n..", b"\r\n.")
        message = message_from_bytes(raw, _class=EmailMessage, policy=SMTPUTF8)
        self.server.keep(Received(self.sender, tuple(self.recipients), message, raw, self.is_encrypted))
        await self._say("250 kept")

    async def _say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()


@asynccontextmanager
async def smtp_server(
    *,
    tls: ssl.SSLContext | None = None,
    is_implicit: bool = False,
    credentials: tuple[str, str] | None = None,
    refuse: Callable[[str], str | None] = _accepts,
) -> AsyncIterator[SmtpServer]:
    made = SmtpServer(tls, is_implicit, credentials, refuse)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls if is_implicit else None)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made
