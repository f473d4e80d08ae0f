"""Real servers that do not behave: what they send, how much of it, and for how long (bad inputs 46 and 119)."""

import asyncio
from pathlib import Path

import pytest

from core.outbound import Outbound, OutboundFailed
from tests.authority import new_authority
from tests.core.outbound.calls import CHUNKED, NAME, OK, to, writing
from tests.receivers import Receiver, Speak, receiving, saying

pytestmark = pytest.mark.anyio


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
    with pytest.raises(OutboundFailed, match="no answer in time"):
        await Outbound({f"{NAME}:{port}"}, seconds=0.5).get(f"https://{NAME}:{port}/")
    server.close()


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
    with pytest.raises(OutboundFailed) as given_up:
        await to(receiver, seconds=60).get(receiver.url())
    assert "in time" not in str(given_up.value)


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
        receiver.delay = 60.0
    receiver.usual = slow
    for call in (
        lambda outbound: outbound.get(receiver.url()),
        lambda outbound: outbound.post(receiver.url(), b"", "text/plain"),
    ):
        with pytest.raises(OutboundFailed, match="no answer in time"):
            await call(to(receiver, seconds=0.5))


async def test_slow_redirects_share_one_time(receiver: Receiver) -> None:
    receiver.delay, receiver.usual = 0.2, saying(302, Location="/again")
    with pytest.raises(OutboundFailed, match="no answer in time"):
        await to(receiver, seconds=0.5).get(receiver.url(), redirects=20)
    assert len(receiver.sent) < 20


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
