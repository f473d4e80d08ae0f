"""HTTP to a Keystead on this machine or elsewhere, for the walk and the demo."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

PATIENCE = 3
LONGEST_WAIT = 5.0


class LoopbackTransport(httpx.AsyncHTTPTransport):
    """Connects `*.localhost` to the loopback address, as browsers do and many system resolvers do not."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host.endswith(".localhost"):
            request = httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1"),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return await super().handle_async_request(request)


async def patiently(send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask again, a few times, after as long as a 503 says (RFC 9110 section 10.2.3)."""
    for _ in range(PATIENCE):
        response = await send()
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or "retry-after" not in response.headers:
            return response
        await asyncio.sleep(min(float(response.headers["retry-after"]), LONGEST_WAIT))
    return await send()


class ApiError(Exception):
    """An answer that was not expected: the request, the status and the body, for a person to read."""


class Api:
    """JSON over HTTP with a bearer token; any answer but success is an `ApiError`."""

    def __init__(self, client: httpx.AsyncClient, base: str, token: str) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, **query: Any) -> Any:
        return await self._call("GET", path, params=query or None)

    async def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return await self._call("POST", path, json=body, params=query or None)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str, body: Any = None) -> Any:
        return await self._call("DELETE", path, json=body)

    async def status(self, method: str, path: str, body: Any = None) -> int:
        """Only the status: for what is expected to be refused."""
        return (await self._send(method, path, json=body)).status_code

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = self._base + path
        return await patiently(lambda: self._client.request(method, url, headers=self._headers, **options))

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        response = await self._send(method, path, **options)
        if not response.is_success:
            raise ApiError(f"{method} {self._base}{path} answered {response.status_code}: {response.text}")
        return response.json() if response.content else None


async def client_credentials(
    client: httpx.AsyncClient, issuer: str, client_id: str, client_secret: str, audience: str
) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "audience": audience,
    }
    response = await patiently(lambda: client.post(f"{issuer}oauth/token", data=form))
    if not response.is_success:
        raise ApiError(f"no token from {issuer}: {response.status_code} {response.text}")
    return str(response.json()["access_token"])
