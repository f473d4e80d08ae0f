"""What a name means, looked up here and judged before anything is connected to."""

import asyncio
import socket
from concurrent.futures import Executor
from ipaddress import ip_address

from core.outbound.addresses import OutboundRefused, is_public

CONNECT_SECONDS = 2.0
"""For each address that a name has: one that swallows everything leaves time for the next."""

MAX_ADDRESSES = 4


class NoAddress(OSError):
    """The name means nothing."""


async def addresses_of(resolver: Executor, host: str, port: int, *, may_be_inside: bool) -> list[str]:
    """One address inside among several is reason enough to refuse: it is how a name is made to lead there sometimes."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(resolver, _look_up, host, port)
    if not may_be_inside and not all(is_public(ip_address(address)) for address in found):
        raise OutboundRefused("The address is not a public one.")
    return found[:MAX_ADDRESSES]


def _look_up(host: str, port: int) -> list[str]:
    """In a thread of its own pool: a slow name server holds nobody but those who call strangers."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAddress("the host has no address") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
