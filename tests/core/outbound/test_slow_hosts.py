"""One slow host takes no place from others (bad inputs 46)."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from core.outbound import Outbound, OutboundFailed, client
from tests.core.outbound.calls import CHUNKED, SLOW_NAME, to, writing
from tests.receivers import Receiver, Sent, receiving

pytestmark = pytest.mark.anyio


class Gate:
    """Receivers that answer when it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, _: Sent, writer: asyncio.StreamWriter) -> None:
        await self.opened.wait()
        writer.write(b"HTTP/1.1 200 Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()


async def test_a_slow_host_takes_no_place_from_others(receiver: Receiver) -> None:
    gate = Gate()
    async with receiving(Receiver(usual=gate)) as slow:
        outbound = Outbound({receiver.address, slow.address}, seconds=4.0)
        waiting = [asyncio.create_task(outbound.get(slow.url())) for _ in range(300)]
        await slow.arrivals(8)
        assert (await outbound.get(receiver.url())).status == 200
        assert not any(task.done() for task in waiting), "it waited for them"
        assert slow.connections == 8
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, OutboundFailed) for outcome in outcomes)
        gate.opened.set()
        assert (await outbound.get(slow.url())).status == 200


async def test_a_tenant_whose_hosts_are_slow_takes_no_place_from_others(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "IN_ALL", 4)
    monkeypatch.setattr(client, "PER_TENANT", 3)
    gate = Gate()
    others = [Receiver(usual=gate) for _ in range(8)]
    async with AsyncExitStack() as stack:
        for other in others:
            await stack.enter_async_context(receiving(other))
        allowed = frozenset(one.address for one in (*others, receiver))
        outbound = await stack.enter_async_context(Outbound(allowed, seconds=60))
        slow = [asyncio.create_task(outbound.get(other.url(), tenant="slow")) for other in others]
        await others[0].arrivals(1)
        assert (await outbound.get(receiver.url(), tenant="quick")).status == 200
        gate.opened.set()
        outcomes = await asyncio.gather(*slow, return_exceptions=True)
        assert sum(isinstance(outcome, OutboundFailed) for outcome in outcomes) == 5
        assert sum(other.connections for other in others) == 3
        assert (await outbound.get(receiver.url(), tenant="slow")).status == 200


async def test_a_slow_name_server_takes_no_place_from_others(
    receiver: Receiver, names: dict[str, list[str]]
) -> None:
    outbound = to(receiver, seconds=60)
    waiting = [asyncio.create_task(outbound.get(f"https://{SLOW_NAME}/")) for _ in range(50)]
    await asyncio.sleep(0)
    assert (await outbound.get(receiver.url())).status == 200
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()


async def test_a_flood_of_little_pieces_does_not_keep_the_loop_from_others(receiver: Receiver) -> None:
    receiver.usual = writing(CHUNKED, b"1\r\na\r\n" * 1000)
    call = asyncio.create_task(to(receiver, seconds=60).get(receiver.url()))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    with pytest.raises(OutboundFailed):
        await call
    assert turns > 10, "it was taken in at one go"
