"""A little web server on loopback that keeps what it is sent and answers what it was told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came over the wire. Names of headers are in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


Speak: TypeAlias = Callable[[Sent, asyncio.StreamWriter], Awaitable[None]]
"""An answer that is more than a status: written byte by byte."""


@dataclass(slots=True)
class Receiver:
    """`answers` are used up one by one; then it is `usual`. `delay` comes before each, in seconds."""

    usual: int | Speak = 200
    answers: list[int | Speak] = field(default_factory=list)
    delay: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        """As `Settings.outbound_allowed` has it."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def arrivals(self, count: int, seconds: float = 60) -> list[Sent]:
        """Waits until there are that many."""
        async with asyncio.timeout(seconds):
            while len(self.sent) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.sent

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                sent = await _read(reader)
                self.sent.append(sent)
                self._arrived.set()
                await asyncio.sleep(self.delay)
                answer = self.answers.pop(0) if self.answers else self.usual
                if isinstance(answer, int):
                    writer.write(f"HTTP/1.1 {answer} Said\r\nContent-Length: 0\r\n\r\n".encode())
                    await writer.drain()
                else:
                    await answer(sent, writer)
                    break
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Sent:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Sent(method, target, headers, body)


def saying(status: int, body: bytes = b"", **headers: str) -> Speak:
    """Headers are written with `_` for `-`."""

    async def speak(_: Sent, writer: asyncio.StreamWriter) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Content-Length": str(len(body)), "Connection": "close", **named}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode("latin-1") + body)
        await writer.drain()

    return speak


@asynccontextmanager
async def receiving(
    receiver: Receiver, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "http" if tls is None else "https"
    try:
        yield receiver
    finally:
        server.close()
