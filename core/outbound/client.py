"""The guarded HTTP client (RFC 9700 section 4.10, `specs/bad-inputs.md` 46 and 119).

A name is looked up here, every address it has must be public, and the connection goes to one of those: what a second
look-up would say does not matter. TLS still checks the name. Size and time are bounded as a whole; a redirect is
followed only where the caller says so, and is judged like the first address. Every call has a connection of its own,
so every call is judged anew; proxies of the environment are not asked.
"""

import asyncio
import ssl
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urldefrag, urljoin

import certifi
import httpcore

from core.outbound.addresses import HTTPS_PORT, OutboundRefused, check_address
from core.outbound.connecting import Connecting, TooLong
from core.outbound.places import Places

SECONDS = 5.0
BYTES = 64 * 1024
AROUND_BYTES = 64 * 1024
"""Headers, framing and interim answers beside the body."""

IN_ALL = 128
PER_HOST = 8
RESOLVERS = 64
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
    """One per process. `allowed` are `host:port` inside that may be called all the same. `authorities` is a file of
    certificates to trust instead of the usual ones."""

    def __init__(
        self, allowed: Collection[str] = (), *, seconds: float = SECONDS, authorities: str | None = None
    ) -> None:
        self._allowed = frozenset(allowed)
        self._seconds = seconds
        self._tls = ssl.create_default_context(cafile=authorities or certifi.where())
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._places = Places(in_all=IN_ALL, per_host=PER_HOST)
        self._resolver = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")

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

    async def get(
        self, url: str, *, accept: str = "application/json", limit: int = BYTES, redirects: int = 0
    ) -> Fetched:
        """Raises `OutboundRefused` and `OutboundFailed`. Any status is an answer, a redirect that may not be followed
        too."""
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(redirects):
                    fetched = await self._ask("GET", url, headers, None, limit)
                    if fetched.status not in _REDIRECTS or "location" not in fetched.headers:
                        return fetched
                    url = _target(url, fetched.headers["location"])
                return await self._ask("GET", url, headers, None, limit)
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
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Fetched:
        parts = check_address(url, self._allowed)
        host, port = parts.hostname or "", _port(parts)
        backend = Connecting(
            self._resolver, may_be_inside=f"{host}:{port}" in self._allowed, limit=limit + AROUND_BYTES
        )
        origin = httpcore.Origin(parts.scheme.encode(), host.encode(), port)
        connection = httpcore.AsyncHTTPConnection(origin, self._tls, network_backend=backend)
        address = httpcore.URL(scheme=origin.scheme, host=origin.host, port=port, target=_path(parts))
        wanted = [("Host", _host(parts)), *headers.items(), *_ALWAYS]
        async with self._places.taken(f"{host}:{port}"):
            try:
                async with connection.stream(method, address, headers=wanted, content=body) as answer:
                    return await _fetched(answer, limit)
            except TooLong:
                raise OutboundFailed("the answer is too long") from None
            except _FAILURES as error:
                raise OutboundFailed(type(error).__name__) from error
            finally:
                await backend.close()


_FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)
_ALWAYS = (("Accept-Encoding", "identity"), ("Connection", "close"))


def _port(parts: SplitResult) -> int:
    return parts.port or (HTTPS_PORT if parts.scheme == "https" else 80)


def _host(parts: SplitResult) -> str:
    """As the header has it: RFC 9110 section 7.2."""
    host = parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    return named if parts.port is None else f"{named}:{parts.port}"


def _path(parts: SplitResult) -> bytes:
    """What was checked, letter for letter; nobody takes the address apart a second time."""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.path or '/'}{query}".encode("ascii")


def _target(url: str, location: str) -> str:
    """Where a redirect leads; whether one may go there is asked as for any address."""
    try:
        return urldefrag(urljoin(url, location)).url
    except ValueError:
        raise OutboundRefused("The address is malformed.") from None


async def _fetched(answer: httpcore.Response, limit: int) -> Fetched:
    headers = _headers(answer.headers)
    if headers.get("content-encoding", "identity").lower() != "identity":  # what is small may not unfold
        raise OutboundFailed("the answer is compressed")
    return Fetched(answer.status, headers, await _body(answer, limit))


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
