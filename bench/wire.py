"""HTTP/1.1 over one kept-alive connection, with as little of our own work as possible.

The client shares the machine with what it measures, so it builds requests once and parses answers by hand: status
line, `content-length` or chunks, nothing else.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlencode

ADDRESS = "127.0.0.1"
FORM = "application/x-www-form-urlencoded"


class UnexpectedAnswer(Exception):
    """The server did not do the work; a measurement of it would be worth nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """The first header of this name, which must be there."""
        start = self.head.lower().find(f"\r\n{name}:".encode())
        if start < 0:
            raise UnexpectedAnswer(f"no header {name} in {self.head!r}")
        begin = start + len(name) + 3
        return self.head[begin : self.head.find(b"\r\n", begin)].strip().decode("latin-1")


def request(
    method: str,
    host: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    kind: str = "",
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if kind:
        lines.append(f"content-type: {kind}")
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def form_request(host: str, path: str, fields: Mapping[str, str]) -> bytes:
    return request("POST", host, path, body=urlencode(fields).encode(), kind=FORM)


class Connection(asyncio.Protocol):
    """One request at a time; connects again when the server closed in between."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, port: int) -> Self:
        connection = cls(port)
        await connection._connect()
        return connection

    async def send(self, message: bytes) -> Answer:
        if self._transport is None or self._transport.is_closing():
            await self._connect()
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._waiting

    async def expect(self, status: int, message: bytes) -> Answer:
        answer = await self.send(message)
        if answer.status != status:
            asked = message.split(b"\r\n", 1)[0].decode("latin-1")
            raise UnexpectedAnswer(f"{asked} answered {answer.status}, not {status}: {answer.body[:400]!r}")
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, ADDRESS, self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._received.clear()

    def connection_lost(self, reason: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(UnexpectedAnswer(f"the connection was closed: {reason}"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = _parse(self._received)
        if answer is not None and self._waiting is not None and not self._waiting.done():
            self._received.clear()
            self._waiting.set_result(answer)


def _parse(received: bytearray) -> Answer | None:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[: end + 2])
    lower, status = head.lower(), int(head[9:12])
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lower[at + 17 : lower.find(b"\r\n", at + 2)])
        whole = end + 4 + length
        return Answer(status, head, bytes(received[end + 4 : whole])) if len(received) >= whole else None
    if b"\r\ntransfer-encoding: chunked" in lower:
        body = _chunks(received, end + 4)
        return None if body is None else Answer(status, head, body)
    return Answer(status, head, b"")


def _chunks(received: bytearray, position: int) -> bytes | None:
    body = bytearray()
    while (line_end := received.find(b"\r\n", position)) >= 0:
        size = int(received[position:line_end], 16)
        position = line_end + 2
        if len(received) < position + size + 2:
            return None
        if size == 0:
            return bytes(body)
        body += received[position : position + size]
        position += size + 2
    return None
