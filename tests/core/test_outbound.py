"""Calls to addresses that somebody else chose, against real servers that do not behave (bad inputs 46 and 119)."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from core.outbound import Outbound, OutboundFailed, OutboundRefused, client
from tests.authority import new_authority
from tests.receivers import Receiver, Sent, Speak, receiving, saying

pytestmark = pytest.mark.anyio

NAME = "receiver.example.com"
Names = Callable[..., list[str]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the foreign name server says; of `slow.example.com` nothing for a while."""
    said: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host == "slow.example.com":
            time.sleep(1.5)
        if host not in said:
            return real(host, port, *args, **more)
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in ip], socket.SOCK_STREAM, 6, "", (ip, port)) for ip in said[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return said


def to(receiver: Receiver, **options: Any) -> Outbound:
    return Outbound({receiver.address, f"{NAME}:{receiver.port}"}, **options)


# --- where a call may go -------------------------------------------------------------------------------------

INSIDE = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://0.0.0.0/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://0x7f000001/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[3fff::1]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://intranet/",
    "https://printer.local/",
]
MALFORMED = [
    "",
    "https://",
    "https:///path",
    "https:example.com",
    "//example.com/",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:70/",
    "javascript:alert(1)",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:80/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:x/",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://@example.com/",
    "https://example.com/#fragment",
    "https://example.com\\@evil.example/",
    "https://exa mple.com/",
    "https://example.com/\r\nX-Injected: 1",
    "https://example.com/\t",
    "https://example.com/\x00",
    "https://ex\u00e4mple.com/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://example%2ecom/",
    "https://-example.com/",
    "https://a..example.com/",
    f"https://{'a' * 64}.example.com/",
    f"https://{'a.' * 130}com/",
    "https://[::1/",
    "https://example.com/" + "a" * 2048,
]


@pytest.mark.parametrize("url", INSIDE + MALFORMED)
async def test_an_address_inside_or_malformed_is_refused_when_saved_and_when_used(url: str) -> None:
    outbound = Outbound()
    with pytest.raises(OutboundRefused) as refused:
        outbound.check(url)
    assert str(refused.value).isascii()
    with pytest.raises(OutboundRefused):
        await outbound.get(url)
    with pytest.raises(OutboundRefused):
        await outbound.post(url, b"", "text/plain")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://EXAMPLE.com:443/path?a=b",
        "https://example.com:8443/",
        "https://example.com./",
        "https://xn--exmple-cua.com/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://1.example.com/",
    ],
)
def test_a_public_address_may_be_saved(url: str) -> None:
    Outbound().check(url)


def test_what_is_allowed_is_one_port_of_one_host() -> None:
    outbound = Outbound({"127.0.0.1:9000", "[::1]:9000"})
    outbound.check("http://127.0.0.1:9000/a")
    outbound.check("https://127.0.0.1:9000/a")
    for url in ("http://127.0.0.1:9001/", "http://127.0.0.2:9000/", "ftp://127.0.0.1:9000/"):
        with pytest.raises(OutboundRefused):
            outbound.check(url)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["93.184.216.34", "127.0.0.1"],
        ["fe80::1%1"],
    ],
)
async def test_a_name_that_leads_inside_is_refused_at_the_look_up(
    receiver: Receiver, names: dict[str, list[str]], addresses: list[str]
) -> None:
    names["rebound.example.com"] = addresses
    outbound = Outbound()
    outbound.check(f"https://rebound.example.com:{receiver.port}/")
    with pytest.raises(OutboundRefused):
        await outbound.get(f"https://rebound.example.com:{receiver.port}/")
    assert receiver.connections == 0


async def test_each_call_looks_the_name_up_and_judges_it_anew(
    receiver: Receiver, names: dict[str, list[str]]
) -> None:
    """A name that was good a moment ago opens no way in: no connection is kept for it."""
    receiver.usual = saying(200, Connection="keep-alive")
    outbound = to(receiver)
    names[NAME] = ["127.0.0.1"]
    for _ in range(2):
        assert (await outbound.get(receiver.url(host=NAME))).status == 200
    assert receiver.connections == 2
    names[NAME] = []
    with pytest.raises(OutboundFailed):
        await outbound.get(receiver.url(host=NAME))


async def test_a_name_without_an_address_is_a_failure(names: dict[str, list[str]]) -> None:
    names["nobody.example.com"] = []
    with pytest.raises(OutboundFailed):
        await Outbound().get("https://nobody.example.com/")


# --- what is sent --------------------------------------------------------------------------------------------


async def test_the_request_is_what_was_asked_for_and_nothing_else(receiver: Receiver) -> None:
    outbound = to(receiver)
    await outbound.get(receiver.url("/a;p=1/b%0d%0aX:%201?q=%2F&r"), accept="text/plain")
    await outbound.post(receiver.url("/p"), b"a=b", "application/x-www-form-urlencoded", {"X-One": "1"})
    got, posted = receiver.sent
    assert (got.method, got.target, got.body) == ("GET", "/a;p=1/b%0d%0aX:%201?q=%2F&r", b"")
    assert dict(got.headers) == {
        "host": receiver.address,
        "accept": "text/plain",
        "user-agent": "Keystead",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert (posted.method, posted.body) == ("POST", b"a=b")
    assert posted.headers["content-length"] == "3"
    assert posted.headers["x-one"] == "1"


async def test_no_header_can_be_smuggled_in(receiver: Receiver) -> None:
    outbound = to(receiver)
    with pytest.raises(OutboundFailed):
        await outbound.post(receiver.url(), b"", "text/plain", {"X-One": "1\r\nX-Two: 2"})
    with pytest.raises(OutboundFailed):
        await outbound.post(receiver.url(), b"", "text/plain\r\nX-Two: 2")
    assert receiver.sent == []


async def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(Receiver()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        assert (await to(receiver).get(receiver.url())).status == 200
        assert proxy.connections == 0


# --- TLS -----------------------------------------------------------------------------------------------------


async def test_tls_checks_the_name_and_not_the_address(tmp_path: Path, names: dict[str, list[str]]) -> None:
    authority = new_authority(tmp_path, NAME)
    asked: list[str | None] = []
    authority.server.sni_callback = lambda _, name, __: asked.append(name)
    async with receiving(Receiver(), authority.server) as receiver:
        allowed = {f"{host}:{receiver.port}" for host in (NAME, "other.example.com")}
        names[NAME] = names["other.example.com"] = ["127.0.0.1"]
        trusting = Outbound(allowed, authorities=str(authority.file))
        assert (await trusting.get(receiver.url(host=NAME))).status == 200
        assert asked == [NAME]
        assert receiver.sent[0].headers["host"] == f"{NAME}:{receiver.port}"
        with pytest.raises(OutboundFailed):
            await trusting.get(receiver.url(host="other.example.com"))
        with pytest.raises(OutboundFailed):
            await Outbound(allowed).get(receiver.url(host=NAME))
        with pytest.raises(OutboundFailed):
            await trusting.get(f"http://{NAME}:{receiver.port}/")
        assert len(receiver.sent) == 1


async def test_who_never_finishes_a_handshake_is_given_up(names: dict[str, list[str]]) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    names[NAME] = ["127.0.0.1"]
    began = time.monotonic()
    with pytest.raises(OutboundFailed, match="no answer in time"):
        await Outbound({f"{NAME}:{port}"}, seconds=0.5).get(f"https://{NAME}:{port}/")
    assert time.monotonic() - began < 2
    server.close()


# --- redirects -----------------------------------------------------------------------------------------------


async def test_a_redirect_is_an_answer_unless_it_may_be_followed(receiver: Receiver) -> None:
    receiver.usual = saying(302, Location="/next")
    outbound = to(receiver)
    assert (await outbound.get(receiver.url("/first"))).headers["location"] == "/next"
    assert (await outbound.post(receiver.url("/first"), b"", "text/plain")).status == 302
    assert len(receiver.sent) == 2
    receiver.answers = [saying(301, Location="next#part"), saying(200, b"there")]
    assert (await outbound.get(receiver.url("/a/first"), redirects=1)).body == b"there"
    assert receiver.sent[-1].target == "/a/next"


async def test_redirects_in_a_circle_come_to_an_end(receiver: Receiver) -> None:
    receiver.usual = saying(307, Location="/again")
    assert (await to(receiver).get(receiver.url("/again"), redirects=3)).status == 307
    assert len(receiver.sent) == 4


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "http://example.com/",
        "https://localhost/",
        "file:///etc/passwd",
        "//[",
        "https://user@example.com/",
    ],
)
async def test_a_redirect_to_the_inside_is_refused(receiver: Receiver, code: int, location: str) -> None:
    receiver.answers = [saying(code, Location=location)]
    with pytest.raises(OutboundRefused):
        await to(receiver).get(receiver.url(), redirects=2)
    assert len(receiver.sent) == 1


# --- how much and how long -----------------------------------------------------------------------------------


def writing(first: bytes, again: bytes = b"", pause: float = 0.0) -> Speak:
    """Writes `first`, then `again` for ever."""

    async def speak(_: Sent, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while again:
            await writer.drain()
            writer.write(again)
            await asyncio.sleep(pause)

    return speak


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "ten megabytes": saying(200, bytes(10 * 1024 * 1024)),
    "endless body": writing(OK + b"\r\n", bytes(4096)),
    "endless chunks": writing(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"),
    "chunks of one byte": writing(CHUNKED, b"1\r\na\r\n" * 1000),
    "endless headers": writing(OK, b"X-More: " + b"a" * 1000 + b"\r\n"),
    "one endless header": writing(OK + b"X-More: ", b"a" * 4096),
    "endless interim answers": writing(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200),
    "endless status": writing(b"HTTP/1.1 200 ", b"a" * 4096),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_an_answer_without_end_is_given_up_long_before(receiver: Receiver, flood: Speak) -> None:
    receiver.usual = flood
    began = time.monotonic()
    with pytest.raises(OutboundFailed):
        await to(receiver, seconds=10).get(receiver.url())
    assert time.monotonic() - began < 4


async def test_the_limit_is_exact_and_the_callers(receiver: Receiver) -> None:
    receiver.usual = saying(200, b"a" * 1000)
    assert len((await to(receiver).get(receiver.url(), limit=1000)).body) == 1000
    with pytest.raises(OutboundFailed, match="too long"):
        await to(receiver).get(receiver.url(), limit=999)


SLOW = {
    "no answer": writing(b"", b"", 0.0),
    "slow headers": writing(OK, b"X-More: 1\r\n", 0.1),
    "slow body": writing(OK + b"Content-Length: 1000\r\n\r\n", b"a", 0.1),
    "slow chunks": writing(CHUNKED, b"1\r\na\r\n", 0.1),
    "slow interim answers": writing(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1),
}


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW.keys())
async def test_the_time_of_a_call_is_bounded_as_a_whole(receiver: Receiver, slow: Speak) -> None:
    if slow is SLOW["no answer"]:
        receiver.delay = 3.0
    receiver.usual = slow
    for call in (
        lambda outbound: outbound.get(receiver.url()),
        lambda outbound: outbound.post(receiver.url(), b"", "text/plain"),
    ):
        began = time.monotonic()
        with pytest.raises(OutboundFailed, match="no answer in time"):
            await call(to(receiver, seconds=0.5))
        assert time.monotonic() - began < 1.5


async def test_slow_redirects_share_one_time(receiver: Receiver) -> None:
    receiver.delay, receiver.usual = 0.2, saying(302, Location="/again")
    began = time.monotonic()
    with pytest.raises(OutboundFailed, match="no answer in time"):
        await to(receiver, seconds=0.5).get(receiver.url(), redirects=20)
    assert time.monotonic() - began < 1.5


BROKEN = {
    "nothing": b"",
    "no http": b"220 mail.example.com ESMTP\r\n",
    "cut short": OK + b"Content-Length: 10\r\n\r\nabc",
    "cut chunks": CHUNKED + b"5\r\nab",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "negative length": OK + b"Content-Length: -3\r\n\r\nabc",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "bad header": OK + b"no colon\r\n\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_answer_is_a_failure_and_nothing_else(receiver: Receiver, answer: bytes) -> None:
    receiver.usual = writing(answer)
    with pytest.raises(OutboundFailed):
        await to(receiver).get(receiver.url())


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_what_is_compressed_although_nobody_asked_is_not_unfolded(
    receiver: Receiver, coding: str
) -> None:
    receiver.usual = saying(200, b"\x1f\x8b\x08", Content_Encoding=coding)
    with pytest.raises(OutboundFailed, match="compressed"):
        await to(receiver).get(receiver.url())


async def test_nobody_there_is_a_failure(receiver: Receiver) -> None:
    async with receiving(Receiver()) as gone:
        pass
    with pytest.raises(OutboundFailed):
        await to(gone).get(gone.url())


async def test_the_next_address_of_a_name_is_tried(receiver: Receiver, names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.2", "127.0.0.1"]
    assert (await to(receiver).get(receiver.url(host=NAME))).status == 200


# --- one slow host -------------------------------------------------------------------------------------------


async def test_a_slow_host_takes_no_place_from_others(receiver: Receiver) -> None:
    async with receiving(Receiver(delay=3.0)) as slow:
        outbound = Outbound({receiver.address, slow.address}, seconds=2.0)
        waiting = [asyncio.create_task(outbound.get(slow.url())) for _ in range(300)]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert (await outbound.get(receiver.url())).status == 200
        assert time.monotonic() - began < 0.5
        assert slow.connections == 8
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, OutboundFailed) for outcome in outcomes)
        slow.delay = 0.0
        assert (await outbound.get(slow.url())).status == 200


async def test_a_tenant_whose_hosts_are_slow_takes_no_place_from_others(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "IN_ALL", 4)
    monkeypatch.setattr(client, "PER_TENANT", 3)
    others = [Receiver(delay=2.0) for _ in range(8)]
    async with AsyncExitStack() as stack:
        for other in others:
            await stack.enter_async_context(receiving(other))
        allowed = frozenset(one.address for one in (*others, receiver))
        outbound = await stack.enter_async_context(Outbound(allowed))
        slow = [asyncio.create_task(outbound.get(other.url(), tenant="slow")) for other in others]
        await others[0].arrivals(1)
        began = time.monotonic()
        assert (await outbound.get(receiver.url(), tenant="quick")).status == 200
        assert time.monotonic() - began < 1.0
        assert sum(other.connections for other in others) == 3
        outcomes = await asyncio.gather(*slow, return_exceptions=True)
        assert sum(isinstance(outcome, OutboundFailed) for outcome in outcomes) == 5
        assert (await outbound.get(receiver.url(), tenant="slow")).status == 200


async def test_a_slow_name_server_takes_no_place_from_others(
    receiver: Receiver, names: dict[str, list[str]]
) -> None:
    outbound = to(receiver, seconds=1.0)
    waiting = [asyncio.create_task(outbound.get("https://slow.example.com/")) for _ in range(50)]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    assert (await outbound.get(receiver.url())).status == 200
    assert time.monotonic() - began < 0.5
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, OutboundFailed) for outcome in outcomes)


async def test_a_flood_of_little_pieces_does_not_keep_the_loop_from_others(receiver: Receiver) -> None:
    receiver.usual = FLOODS["chunks of one byte"]
    call = asyncio.create_task(to(receiver).get(receiver.url()))
    longest = 0.0
    while not call.done():
        began = time.monotonic()
        await asyncio.sleep(0)
        longest = max(longest, time.monotonic() - began)
    with pytest.raises(OutboundFailed):
        await call
    assert longest < 0.5
