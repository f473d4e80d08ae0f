"""A receiver that may be called although it is inside, and the foreign name server."""

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.core.outbound.calls import SLOW_NAME
from tests.receivers import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """What the foreign name server says; of `SLOW_NAME` nothing until the test is over."""
    said: dict[str, list[str]] = {}
    over = threading.Event()
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host == SLOW_NAME:
            over.wait(60)
        if host not in said:
            return real(host, port, *args, **more)
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in ip], socket.SOCK_STREAM, 6, "", (ip, port)) for ip in said[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield said
    over.set()
