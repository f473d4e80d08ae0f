"""GET for metadata and key sets: no redirects, a time limit, a size limit."""

import ssl
from collections.abc import Awaitable, Callable
from functools import cached_property

import httpx

Fetch = Callable[[str], Awaitable[bytes]]
SECONDS = 5.0


class HttpFetch:
    """Fetches are rare (two for an issuer in ten minutes): a connection for each leaves nothing to close."""

    def __init__(self, largest: int, client: httpx.AsyncClient | None = None) -> None:
        self._largest = largest
        self._client = client

    async def __call__(self, address: str) -> bytes:
        if self._client is not None:
            return await self._get(self._client, address)
        async with httpx.AsyncClient(verify=self._tls) as client:
            return await self._get(client, address)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    async def _get(self, client: httpx.AsyncClient, address: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        request = {"headers": {"Accept": "application/json"}, "follow_redirects": False, "timeout": SECONDS}
        async with client.stream("GET", address, **request) as answer:  # type: ignore[arg-type]
            if answer.status_code != 200:
                raise ValueError(f"answered {answer.status_code}")
            async for part in answer.aiter_bytes(8192):
                size += len(part)
                if size > self._largest:
                    raise ValueError("the answer is too large")
                parts.append(part)
        return b"".join(parts)
