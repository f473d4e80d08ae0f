"""A real server in a process of its own, and the system's Chromium."""

import fcntl
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, async_playwright

from entrypoints.demo_content import APP_PORT, CALLBACK, Demo
from tests.serving import demo_server

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo_server(tmp_path_factory.mktemp("browser") / "data") as demo:
        yield demo


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>app</title>")

    def log_message(self, *_: object) -> None:
        """Nothing is worth a line."""


@contextmanager
def port_alone(port: int) -> Iterator[None]:
    """One process of tests at a time: the addresses are the demo's."""
    lock = Path(tempfile.gettempdir()) / f"keystead-tests-{port}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def listening(port: int, handler: type[BaseHTTPRequestHandler] = _Blank) -> Iterator[int]:
    with port_alone(port), ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    """A page of the customer's own, where the demo's `spa` client says it lives."""
    with listening(APP_PORT) as port:
        yield port


@pytest.fixture
def callback() -> Iterator[str]:
    """Where people come back to."""
    with listening(urlsplit(CALLBACK).port or 0):
        yield CALLBACK


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()
