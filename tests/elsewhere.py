"""Somebody else's web server on this machine: answers what a test puts there, and remembers what was asked."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Page:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Elsewhere:
    port: int
    scheme: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def address(self, path: str) -> str:
        return f"{self.scheme}://{self.host}{path}"

    def put(self, path: str, value: Any, *, status: int = 200, **headers: str) -> str:
        """JSON, at the address that is answered."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.pages[path] = Page(body, status, {"content-type": "application/json", **named})
        return self.address(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                self.asked.append(path)
                page = self.pages.get(path, Page(b"{}", 404))
                lines = [f"HTTP/1.1 {page.status} Status", f"content-length: {len(page.body)}"]
                lines += [f"{name}: {value}" for name, value in page.headers.items()]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + page.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def elsewhere(context: ssl.SSLContext | None = None) -> AsyncIterator[Elsewhere]:
    made = Elsewhere(0, "http" if context is None else "https")
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
