"""What the tests of outbound calls share."""

import asyncio
from typing import Any

from core.outbound import Outbound
from tests.receivers import Receiver, Sent, Speak

NAME = "receiver.example.com"
SLOW_NAME = "slow.example.com"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def to(receiver: Receiver, **options: Any) -> Outbound:
    return Outbound({receiver.address, f"{NAME}:{receiver.port}"}, **options)


def writing(first: bytes, again: bytes = b"", pause: float = 0.0) -> Speak:
    """Writes `first`, then `again` for ever."""

    async def speak(_: Sent, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while again:
            await writer.drain()
            writer.write(again)
            await asyncio.sleep(pause)

    return speak
