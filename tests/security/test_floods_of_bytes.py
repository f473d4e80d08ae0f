"""What one stranger sends is cut off at a limit, and neighbours are answered meanwhile (`specs/bad-inputs.md` 135)."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter

import httpx
import pytest

from entrypoints import http_protocol
from tests.installation import Installation
from tests.isolation.raw import listening

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
POST = b"POST /oauth/token HTTP/1.1\r\nHost: acme.localhost\r\n"


async def upload(port: int, head: bytes, piece: bytes, most: int) -> tuple[int, bytes]:
    """Sends on, whatever is answered; how much was taken, and the answer's first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    sent = 0
    with suppress(ConnectionError):
        while sent < most:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    answer = b""
    with suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(200), 5)
    writer.close()
    return sent, answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "in chunks"])
async def test_an_upload_that_nobody_wants_is_cut_off(installation: Installation, is_chunked: bool) -> None:
    piece = b"a" * 64 * 1024
    length = b"Transfer-Encoding: chunked\r\n" if is_chunked else b"Content-Length: 104857600\r\n"
    if is_chunked:
        piece = b"10000\r\n" + piece + b"\r\n"
    async with listening(installation.app) as port:
        sent, answer = await upload(port, POST + FORM + length + b"\r\n", piece, 100 * MEGABYTE)
        assert sent < 20 * MEGABYTE, "what the system keeps of it on the way, and no more"
        assert answer in (b"", b"HTTP/1.1 413 Request Entity Too Large", b"HTTP/1.1 413 Content Too Large")


async def test_what_is_packed_is_not_unpacked(installation: Installation) -> None:
    bomb = gzip.compress(b"\0" * 30 * MEGABYTE)
    acme = installation.tenant("acme")
    token = (await installation.manager("acme"))._headers
    for path, kind in (
        ("oauth/token", "application/x-www-form-urlencoded"),
        ("api/v2/roles", "application/json"),
    ):
        headers = {**token, "Content-Encoding": "gzip", "Content-Type": kind}
        answer = await installation.http.post(f"{acme.issuer}{path}", content=bomb, headers=headers)
        assert answer.status_code in (400, 413, 415), path


async def test_a_cookie_of_a_hundred_kilobytes_is_refused(installation: Installation) -> None:
    async with listening(installation.app) as port:
        head = b"GET /authorize HTTP/1.1\r\nHost: acme.localhost\r\nCookie: a="
        _, answer = await upload(port, head, b"b" * 1024, 100 * 1024)
        assert answer in (b"", b"HTTP/1.1 400 Bad Request")


@asynccontextmanager
async def idle(port: int, count: int) -> AsyncIterator[None]:
    """Connections that say nothing, or a byte a second of a body."""
    writers = []
    for number in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        if number % 2:
            writer.write(POST + FORM + b"Content-Length: 1000\r\n\r\n")
        writers.append(writer)

    async def drip() -> None:
        while True:
            await asyncio.sleep(1)
            for writer in writers[1::2]:
                with suppress(ConnectionError):
                    writer.write(b"a")

    dripping = asyncio.create_task(drip())
    try:
        yield
    finally:
        dripping.cancel()
        for writer in writers:
            writer.close()


async def test_connections_that_say_nothing_keep_nobody_out(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "REQUEST_SECONDS", 1.5)
    async with listening(installation.app) as port, idle(port, 150):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            for _ in range(20):
                answer = await http.get("/.well-known/jwks.json", headers={"Host": "globex.localhost"})
                assert answer.status_code == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(60):
            assert await reader.read() == b"", "given up, as the others are"
        writer.close()


@pytest.mark.long
async def test_the_usual_longest_wait_of_a_neighbour_stays_what_it_is(installation: Installation) -> None:
    """A thousand idle connections, uploads and a flood of sign-ins at one tenant; 99 of 100 answers of another come
    within twice of what they took before, or a twentieth of a second."""
    async with listening(installation.app) as port:
        quiet = await slowest(installation, port)
        async with idle(port, 1000):
            head = POST + FORM + b"Content-Length: 104857600\r\n\r\n"
            uploads = [asyncio.create_task(uploads_again(port, head)) for _ in range(4)]
            loaded = await slowest(installation, port)
            for task in uploads:
                task.cancel()
    print(f"neighbour's p99: {quiet * 1000:.1f} ms quiet, {loaded * 1000:.1f} ms under the flood")
    assert loaded <= max(2 * quiet, 0.05)


async def uploads_again(port: int, head: bytes) -> None:
    while True:
        await upload(port, head, b"a" * 64 * 1024, 100 * MEGABYTE)
        await asyncio.sleep(0.01)


async def slowest(installation: Installation, port: int) -> float:
    """Of a hundred, the longest but one."""
    client = installation.tenant("globex").clients["m2m"]
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret or "",
        "audience": installation.tenant("globex").management_audience,
    }
    seconds = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        for _ in range(200):
            began = perf_counter()
            answer = await http.post("/oauth/token", data=form, headers={"Host": "globex.localhost"})
            seconds.append(perf_counter() - began)
            assert answer.status_code == 200
            await asyncio.sleep(0.01)
    return sorted(seconds)[-3]
