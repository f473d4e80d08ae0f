"""The guarded HTTP client (RFC 9700 section 4.10, `specs/bad-inputs.md` 46 and 119).

A name is looked up here, every address it has must be public, and the connection goes to one of those: what a second
look-up would say does not matter. TLS still checks the name. Size and time are bounded as a whole; a redirect is
followed only where the caller says so, and is judged like the first address.
"""

import asyncio
import socket
import ssl
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import certifi
import httpcore

from core.outbound.addresses import OutboundRefused, check_address, is_public

SECONDS = 5.0
BYTES = 64 * 1024
CONNECTIONS = 64
USER_AGENT = "Keystead"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class OutboundFailed(Exception):
    """Nothing useful came: no connection, no answer in time, too long an answer. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: Mapping[str, str]
    """By names in small letters; of several with one name, the last."""

    body: bytes = field(repr=False)


class Outbound:
    """One per process. `allowed` are `host:port` inside that may be called all the same."""

    def __init__(
        self, allowed: Collection[str] = (), *, seconds: float = SECONDS, authorities: str | None = None
    ) -> None:
        self._allowed = frozenset(allowed)
        self._seconds = seconds
        context = ssl.create_default_context(cafile=authorities or certifi.where())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=CONNECTIONS,
            keepalive_expiry=5.0,
            network_backend=_Checked(self._allowed),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pool.aclose()

    def check(self, url: str) -> None:
        """Raises `OutboundRefused`: for an address that is being saved."""
        check_address(url, self._allowed)

    async def get(
        self, url: str, *, accept: str = "application/json", limit: int = BYTES, redirects: int = 0
    ) -> Fetched:
        """Raises `OutboundRefused` and `OutboundFailed`. Any status is an answer, a redirect that may not be followed
        too."""
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(redirects):
                    fetched = await self._ask("GET", url, headers, b"", limit)
                    if fetched.status not in _REDIRECTS or "location" not in fetched.headers:
                        return fetched
                    url = urljoin(url, fetched.headers["location"])
                return await self._ask("GET", url, headers, b"", limit)
        except TimeoutError:
            raise OutboundFailed("no answer in time") from None

    async def post(
        self, url: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """As `get`; redirects are never followed: a POST belongs to the address it was meant for."""
        named = {"Content-Type": content_type, "User-Agent": USER_AGENT, **(headers or {})}
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask("POST", url, named, body, BYTES)
        except TimeoutError:
            raise OutboundFailed("no answer in time") from None

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Fetched:
        check_address(url, self._allowed)
        wanted = [*headers.items(), ("Accept-Encoding", "identity")]  # what is small may not unfold
        content = body if method == "POST" else None
        try:
            async with self._pool.stream(method, url, headers=wanted, content=content) as answer:
                return Fetched(answer.status, _headers(answer.headers), await _body(answer, limit))
        except OutboundRefused:
            raise
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise OutboundFailed(type(error).__name__) from error


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


async def _body(answer: httpcore.Response, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_stream():
        size += len(part)
        if size > limit:
            raise OutboundFailed("the answer is too long")
        parts.append(part)
    return b"".join(parts)


class _Checked(httpcore.AsyncNetworkBackend):
    """Looks a name up, checks what it found, connects to that."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        error: Exception | None = None
        for address in await self._addresses(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as failed:
                error = failed
        raise error or httpcore.ConnectError("the host has no address")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """One address inside among several is reason enough: it is how a name is made to lead there sometimes."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if f"{host}:{port}" not in self._allowed and not all(
            is_public(ip_address(address)) for address in addresses
        ):
            raise OutboundRefused("The address is not a public one.")
        return list(dict.fromkeys(addresses))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
