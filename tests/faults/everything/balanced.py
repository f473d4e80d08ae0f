"""What stands before several servers: takes a request to one that listens, and notes what came of it."""

import asyncio
import random
from time import monotonic

import httpx

from tests.faults.everything.history import OF_THE_PLANE, Asked, History
from tests.faults.servers import Server


class Workers:
    """Some servers, each of which may be away."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.left_out: set[int] = set()
        """By number; those that say that they are about to leave."""

    async def look(self) -> None:
        """As a load balancer does, several times a second, for as long as it lives."""
        async with httpx.AsyncClient(timeout=2) as http:
            while True:
                for number, server in enumerate(self.servers):
                    try:
                        ready = (await http.get(f"http://127.0.0.1:{server.port}/ready")).status_code == 200
                    except httpx.TransportError:
                        ready = False
                    (self.left_out.discard if ready else self.left_out.add)(number)
                await asyncio.sleep(0.2)

    def client(self, history: History, rng: random.Random) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=Balanced(self, history, rng), timeout=15)


class Balanced(httpx.AsyncBaseTransport):
    """Tries another server only when nothing was sent to the first."""

    def __init__(self, workers: Workers, history: History, rng: random.Random) -> None:
        self._workers = workers
        self._history = history
        self._rng = rng
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        numbers = list(range(len(self._workers.servers)))
        self._rng.shuffle(numbers)
        numbers.sort(key=self._workers.left_out.__contains__)
        for number in numbers:
            try:
                return await self._ask(number, request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        raise httpx.ConnectError("no server listens")

    async def _ask(self, number: int, request: httpx.Request) -> httpx.Response:
        label = request.url.host.removesuffix("localhost").rstrip(".")
        began = monotonic()
        status = 0
        try:
            response = await self._inner.handle_async_request(self._to(number, request))
            await response.aread()
            status = response.status_code
            return response
        except (httpx.ConnectError, httpx.ConnectTimeout):
            status = -1
            raise
        finally:
            if status >= 0:
                asked = Asked(
                    began, monotonic(), number, label or OF_THE_PLANE, request.url.path, max(status, 0)
                )
                self._history.asked.append(asked)
                if status == 200 and request.url.path == "/oauth/token":
                    self._history.tokens.append(asked)

    def _to(self, number: int, request: httpx.Request) -> httpx.Request:
        port = self._workers.servers[number].port
        return httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=port),
            headers=[*request.headers.raw, (b"connection", b"close")],
            stream=request.stream,
            extensions=request.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()
