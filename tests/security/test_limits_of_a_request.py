"""A stranger's request costs the memory of its limits, however long it goes on."""

import asyncio
from contextlib import suppress

import pytest

from entrypoints import http_protocol
from entrypoints.http_protocol import LONGEST_HEAD
from tests.installation import Installation
from tests.isolation.raw import listening, send_bytes

pytestmark = pytest.mark.anyio

LINE = b"GET /.well-known/openid-configuration HTTP/1.1\r\n"
HOST = b"Host: acme.localhost\r\n"
CHUNKED = (
    b"POST /oauth/token HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
PIECE = 16 * 1024

ENDLESS = {
    "a request line": (b"GET /", b"a" * PIECE),
    "a header": (LINE + HOST + b"X: ", b"a" * PIECE),
    "headers": (LINE + HOST, b"X: b\r\n" * 2_000),
    "the size of a chunk": (CHUNKED + b"1;", b"a" * PIECE),
    "a trailer": (CHUNKED + b"0\r\nX: ", b"a" * PIECE),
    "blank lines": (b"", b"\r\n" * 8_000),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_never_ends_is_cut_off(installation: Installation, what: str) -> None:
    start, piece = ENDLESS[what]
    async with listening(installation.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        sent = 0
        async with asyncio.timeout(60):
            try:
                while sent < 100 * LONGEST_HEAD and not reader.at_eof():
                    writer.write(piece)
                    await writer.drain()
                    sent += len(piece)
                    await asyncio.sleep(0.001)
            except ConnectionError:
                pass
        writer.close()
    assert sent < 20 * LONGEST_HEAD


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (LINE + HOST + b"Connection: close\r\n\r\n", 200),
        (LINE + HOST + b"X: " + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n", 200),
        (LINE + HOST + b"X: " + b"a" * 70_000 + b"\r\nConnection: close\r\n\r\n", 400),
        (LINE + HOST + b"X: b\r\n" * 1_000 + b"\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ],
    ids=["usual", "long", "too long", "too many", "too long a line"],
)
async def test_a_head_has_a_limit(installation: Installation, request_head: bytes, status: int) -> None:
    async with listening(installation.app) as port:
        assert (await send_bytes(port, request_head))[0] == status


SLOW = {
    "nothing": (b"", b""),
    "a head": (LINE, b"X: b\r\n"),
    "a body": (CHUNKED, b"1\r\na\r\n"),
    "a second request": (LINE + HOST + b"\r\n" + LINE, b"X: b\r\n"),
}


@pytest.mark.parametrize("what", SLOW)
async def test_a_request_that_does_not_come_is_not_waited_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_SECONDS", 0.3)
    start, piece = SLOW[what]
    async with listening(installation.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        async with asyncio.timeout(60):
            while not reader.at_eof():
                if piece:
                    writer.write(piece)
                with suppress(TimeoutError, ConnectionError):
                    await asyncio.wait_for(reader.read(1000), 0.05)
        writer.close()


async def test_a_connection_that_asks_again_is_kept(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_SECONDS", 1.0)
    async with listening(installation.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(5):
            writer.write(LINE + HOST + b"\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"}")
            await asyncio.sleep(0.3)
        writer.close()


async def test_what_follows_a_body_changes_nothing_of_its_request(installation: Installation) -> None:
    """A trailer comes when host and caller are settled: it is not taken for one of the headers."""
    trailers = b"Authorization: Basic eDp5\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    request = CHUNKED + b"2\r\n{}\r\n0\r\n" + trailers + b"\r\n"
    async with listening(installation.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readuntil(b"}")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"grant_type is missing" in body
