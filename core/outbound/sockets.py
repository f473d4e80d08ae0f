"""A connection for a protocol other than HTTP: to an address that was checked, and to no other."""

import asyncio
import socket
from concurrent.futures import Executor

from core.outbound.answers import OutboundFailed
from core.outbound.names import CONNECT_SECONDS, addresses_of


async def open_socket(resolver: Executor, host: str, port: int, *, may_be_inside: bool) -> socket.socket:
    """Raises `OutboundRefused` and `OutboundFailed`. Whoever asked closes it."""
    try:
        addresses = await addresses_of(resolver, host, port, may_be_inside=may_be_inside)
    except OSError as error:
        raise OutboundFailed(type(error).__name__) from error
    reason = "NoAddress"
    for address in addresses:
        try:
            return await _connected(address, port)
        except (OSError, TimeoutError) as error:
            reason = type(error).__name__
    raise OutboundFailed(reason)


async def _connected(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    opened.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(opened, (address, port))
    except BaseException:
        opened.close()
        raise
    return opened
