"""One connection outward: the name is looked up here, what it means is checked, and that very address is connected to.

What arrives is counted as it comes off the wire, so that no framing makes a small answer cost a lot: neither
chunks of one byte, nor interim answers without end, nor headers without end.
"""

import asyncio
import ssl
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any

import httpcore

from core.outbound.names import CONNECT_SECONDS, addresses_of

READ_BYTES = 8 * 1024
"""Taken at once, so that whatever is in them does not keep the loop from others."""


class TooLong(Exception):
    """More came off the wire than an answer may take."""


class Connecting(httpcore.AsyncNetworkBackend):
    """For one call. `close` ends whatever was opened, also when the call was cut short in the middle."""

    def __init__(self, resolver: Executor, *, may_be_inside: bool, limit: int) -> None:
        self._resolver = resolver
        self._may_be_inside = may_be_inside
        self._limit = limit
        self._network = httpcore.AnyIOBackend()
        self._opened: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception = httpcore.ConnectError("the host has no address")
        found = await addresses_of(self._resolver, host, port, may_be_inside=self._may_be_inside)
        for address in found:
            try:
                self._opened = await self._network.connect_tcp(address, port, CONNECT_SECONDS)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
            else:
                return _Counted(self._opened, self._limit)
        raise error

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Counted(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._left = limit

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(min(max_bytes, READ_BYTES), timeout)
        self._left -= len(data)
        if self._left < 0:
            raise TooLong
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Counted(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._limit)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
