"""TXT records, asked of the machine's name servers or of those that an installation names.

The library is loaded by the first question: most installations never ask.
"""

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

SECONDS = 4.0
AT_ONCE = 32
MOST_RECORDS = 64
"""Of one name; whoever has more there is not looked at further."""


class NamesAway(Exception):
    """No name server said anything useful, not even that there is nothing. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NameServers:
    """One per process. `servers` are addresses with ports; none: the machine's own."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._servers = tuple(servers)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def texts(self, name: str) -> frozenset[str]:
        """All TXT records of a name, each put together from its parts (RFC 7208 section 3.3); empty: it has none."""
        from dns.exception import DNSException
        from dns.resolver import NXDOMAIN, NoAnswer

        try:
            async with self._places:
                answer = await self._resolver.resolve(name, "TXT", search=False, lifetime=SECONDS)
        except (NXDOMAIN, NoAnswer):
            return frozenset()
        except (DNSException, OSError) as error:
            raise NamesAway(type(error).__name__) from error
        records = list(answer)[:MOST_RECORDS]
        return frozenset(b"".join(record.strings).decode("latin-1") for record in records)

    @cached_property
    def _resolver(self) -> "Resolver":
        """No cache: whoever has just put a record there is not told for an hour that it is missing."""
        from dns.asyncresolver import Resolver
        from dns.nameserver import Do53Nameserver

        if not self._servers:
            return Resolver()
        resolver = Resolver(configure=False)
        resolver.nameservers = [Do53Nameserver(host, port) for host, port in self._servers]
        return resolver
