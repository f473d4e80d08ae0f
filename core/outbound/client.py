"""The guarded HTTP client (RFC 9700 section 4.10, `specs/bad-inputs.md` 46 and 119).

A name is looked up here, every address it has must be public, and the connection goes to one of those: what a second
look-up would say does not matter. TLS still checks the name. Size and time are bounded as a whole; a redirect is
followed only where the caller says so, and is judged like the first address. Every call has a connection of its own,
so every call is judged anew; proxies of the environment are not asked.

Most installations call nobody: what a call needs (the HTTP library, the public authorities) is loaded by the first one.
"""

import asyncio
import socket
import ssl
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from types import TracebackType
from typing import Self
from urllib.parse import urldefrag, urljoin

from core.outbound.addresses import OutboundRefused, check_address, check_mail_server, port_of
from core.outbound.answers import Fetched, OutboundFailed
from core.outbound.places import Places

SECONDS = 5.0
BYTES = 64 * 1024
IN_ALL = 128
PER_HOST = 8
PER_TENANT = 32
RESOLVERS = 64
USER_AGENT = "Keystead"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Outbound:
    """One per process. `allowed` are `host:port` inside that may be called all the same. `authorities` is a file of
    certificates to trust instead of the usual ones."""

    def __init__(
        self, allowed: Collection[str] = (), *, seconds: float = SECONDS, authorities: str | None = None
    ) -> None:
        self._allowed = frozenset(allowed)
        self._seconds = seconds
        self._places = Places(in_all=IN_ALL, per_host=PER_HOST, per_tenant=PER_TENANT)
        self._resolver = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")
        if authorities is not None:  # a file that cannot be read is noticed at the start
            self._tls = _trusting(authorities)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import certifi

        return _trusting(certifi.where())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._resolver.shutdown(wait=False, cancel_futures=True)

    def check(self, url: str) -> None:
        """Raises `OutboundRefused`: for an address that is being saved."""
        check_address(url, self._allowed)

    def check_mail_server(self, host: str, port: int) -> None:
        """As `check`, for a server that takes letters."""
        check_mail_server(host, port, self._allowed)

    def is_allowed(self, host: str, port: int) -> bool:
        """Whether the installation vouches for it: inside, and without TLS."""
        return f"{host}:{port}" in self._allowed

    @property
    def tls(self) -> ssl.SSLContext:
        return self._tls

    async def connect_to_mail_server(self, host: str, port: int) -> socket.socket:
        """Judged anew at every connection, like every call. Raises `OutboundRefused` and `OutboundFailed`."""
        from core.outbound.sockets import open_socket

        self.check_mail_server(host, port)
        return await open_socket(self._resolver, host, port, may_be_inside=self.is_allowed(host, port))

    async def get(
        self,
        url: str,
        *,
        tenant: str = "",
        accept: str = "application/json",
        limit: int = BYTES,
        redirects: int = 0,
    ) -> Fetched:
        """Raises `OutboundRefused` and `OutboundFailed`. Any status is an answer, a redirect that may not be followed
        too. `tenant` is the id of the one that is called for: it has a part of all places."""
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(redirects):
                    fetched = await self._ask("GET", url, headers, None, limit, tenant)
                    if fetched.status not in _REDIRECTS or "location" not in fetched.headers:
                        return fetched
                    url = _target(url, fetched.headers["location"])
                return await self._ask("GET", url, headers, None, limit, tenant)
        except TimeoutError:
            raise OutboundFailed("no answer in time") from None

    async def post(
        self,
        url: str,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        tenant: str = "",
    ) -> Fetched:
        """As `get`; redirects are never followed: a POST belongs to the address it was meant for."""
        named = {"Content-Type": content_type, "User-Agent": USER_AGENT, **(headers or {})}
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask("POST", url, named, body, BYTES, tenant)
        except TimeoutError:
            raise OutboundFailed("no answer in time") from None

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limit: int,
        tenant: str,
    ) -> Fetched:
        from core.outbound.exchange import Route, exchange

        parts = check_address(url, self._allowed)
        at = f"{parts.hostname or ''}:{port_of(parts)}"
        route = Route(parts, self._tls, self._resolver, may_be_inside=at in self._allowed)
        async with self._places.taken(at, tenant):
            return await exchange(route, method, headers, body, limit)


def _target(url: str, location: str) -> str:
    """Where a redirect leads; whether one may go there is asked as for any address."""
    try:
        return urldefrag(urljoin(url, location)).url
    except ValueError:
        raise OutboundRefused("The address is malformed.") from None


def _trusting(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
