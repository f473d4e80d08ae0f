"""One question and its answer, over a connection of their own."""

import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from urllib.parse import SplitResult

import httpcore

from core.outbound.addresses import port_of
from core.outbound.answers import Fetched, OutboundFailed
from core.outbound.connecting import Connecting, TooLong

AROUND_BYTES = 64 * 1024
"""Headers, framing and interim answers beside the body."""

_FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)
_ALWAYS = (("Accept-Encoding", "identity"), ("Connection", "close"))


@dataclass(frozen=True, slots=True)
class Route:
    """To an address that was checked. `may_be_inside`: the name may mean an address that is not public."""

    parts: SplitResult
    tls: ssl.SSLContext
    resolver: Executor
    may_be_inside: bool


async def exchange(
    route: Route, method: str, headers: Mapping[str, str], body: bytes | None, limit: int
) -> Fetched:
    """`limit` of the body, in bytes. Raises `OutboundRefused` and `OutboundFailed`."""
    parts = route.parts
    backend = Connecting(route.resolver, may_be_inside=route.may_be_inside, limit=limit + AROUND_BYTES)
    origin = httpcore.Origin(parts.scheme.encode(), (parts.hostname or "").encode(), port_of(parts))
    connection = httpcore.AsyncHTTPConnection(origin, route.tls, network_backend=backend)
    address = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=_path(parts))
    wanted = [("Host", _host(parts)), *headers.items(), *_ALWAYS]
    try:
        async with connection.stream(method, address, headers=wanted, content=body) as answer:
            return await _fetched(answer, limit)
    except TooLong:
        raise OutboundFailed("the answer is too long") from None
    except _FAILURES as error:
        raise OutboundFailed(type(error).__name__) from error
    finally:
        await backend.close()


def _host(parts: SplitResult) -> str:
    """As the header has it: RFC 9110 section 7.2."""
    host = parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    return named if parts.port is None else f"{named}:{parts.port}"


def _path(parts: SplitResult) -> bytes:
    """What was checked, letter for letter; nobody takes the address apart a second time."""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.path or '/'}{query}".encode("ascii")


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
