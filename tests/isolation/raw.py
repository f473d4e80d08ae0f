"""A request as bytes, where a client library would correct it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from entrypoints.http_protocol import HttpProtocol

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[Header]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)


async def ask(
    app: Any,
    path: str,
    headers: list[Header],
    *,
    method: str = "GET",
    query: bytes = b"",
    body: bytes = b"",
    peer: str = "127.0.0.1",
) -> Answer:
    """Straight into the application."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": headers,
        "client": (peer, 1234), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], list(sent[0]["headers"]), answered)


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    """The application behind a real socket; answers the port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", http=HttpProtocol, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def send_bytes(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and everything that came; 0 when the connection was closed without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(60):
            received = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    status = int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/") else 0
    return status, received
