"""HTTP/1.1 over a few sockets that are kept open, each request bounded by one instant.

Not a general client: POST with a body, no redirects, no proxies, no cookies. A failure says whether the whole request
can have reached the server, because only that decides whether a transaction may be repeated.
"""

import io
import os
import re
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Literal, Self
from urllib.parse import urlsplit

from keystead_hrana.answer import Answer, BrokenAnswer, NoAnswer, read_answer
from keystead_hrana.errors import ProgrammingError

Scheme = Literal["http", "https"]

_SCHEMES: dict[str, Scheme] = {"http": "http", "https": "https", "libsql": "https"}
_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}
_NO_URL = "a server's URL is http, https or libsql, a host, and no query"
_VISIBLE = re.compile(r"[\x21-\x7e]+")

IDLE_SECONDS = 20.0  # below what servers and proxies close after
IDLE_SOCKETS = 32  # for each origin


class Unsent(Exception):
    """The request cannot have been carried out: there was no connection, or part of it never left."""


class Unanswered(Exception):
    """The request left, and no complete answer came back."""

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent
        """The other side closed without a byte: most likely it had closed before the request came."""


@dataclass(frozen=True, slots=True)
class Origin:
    scheme: Scheme
    host: str
    port: int
    path: str = field(default="", compare=False)
    """In front of every path; not part of what a socket is kept by."""

    @classmethod
    def of(cls, url: str) -> "Origin":
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ProgrammingError(_NO_URL) from error
        scheme = _SCHEMES.get(parts.scheme)
        extras = parts.query or parts.fragment or parts.username
        if scheme is None or not parts.hostname or extras or not _VISIBLE.fullmatch(url):
            raise ProgrammingError(_NO_URL)
        return cls(scheme, parts.hostname, port or _PORTS[scheme], parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(slots=True)
class _Socket:
    raw: socket.socket
    deadline: float = 0.0
    idle_since: float = 0.0

    def exchange(self, request: bytes) -> Answer:
        try:
            self.raw.settimeout(remaining(self.deadline))
            self.raw.sendall(request)
        except OSError as error:
            return self._refusal(error)
        return self._answer()

    def _answer(self) -> Answer:
        try:
            return read_answer(io.BufferedReader(_UntilDeadline(self), 64 * 1024))
        except (NoAnswer, ConnectionResetError) as error:
            raise Unanswered("the connection was closed without an answer", silent=True) from error
        except (BrokenAnswer, OSError) as error:
            raise Unanswered(f"no complete answer came: {error or type(error).__name__}") from error

    def _refusal(self, failure: OSError) -> Answer:
        """A server may refuse a request, and close, before it has read all of it (413, 401)."""
        try:
            return replace(self._answer(), keeps=False)
        except Unanswered:
            raise Unsent(f"the request could not be sent: {failure}") from failure

    def is_young(self, now: float) -> bool:
        return now - self.idle_since <= IDLE_SECONDS

    def is_fit(self, now: float) -> bool:
        """Nothing may arrive while nobody asks; what does is the other side's farewell."""
        if not self.is_young(now):
            return False
        poll = select.poll()
        poll.register(self.raw, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self.raw.close()


class _UntilDeadline(io.RawIOBase):
    """Every read ends at the same instant, so that a server which trickles cannot hold a request open."""

    def __init__(self, of: _Socket) -> None:
        super().__init__()
        self._of = of

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._of.raw.settimeout(remaining(self._of.deadline))
        return self._of.raw.recv_into(buffer)


def remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


class Sockets:
    """Open connections that nobody uses at the moment, by origin. Safe for threads, empty after a fork."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._idle: dict[Origin, deque[_Socket]] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._is_closed = False

    def post(
        self, origin: Origin, request: bytes, *, connect_timeout: float, deadline: float, repeatable: bool
    ) -> Answer:
        """Send one request, over a kept connection if there is one.

        A kept connection that turns out to be closed is replaced once, if the request did not leave or, where the
        caller says that it may be repeated, if nothing was answered.
        """
        kept = self._take(origin)
        if kept is None:
            return self._exchange(origin, self._connect(origin, connect_timeout, deadline), request, deadline)
        try:
            return self._exchange(origin, kept, request, deadline)
        except (Unsent, Unanswered) as failure:
            if isinstance(failure, Unanswered) and not (failure.silent and repeatable):
                raise
        return self._exchange(origin, self._connect(origin, connect_timeout, deadline), request, deadline)

    def close(self) -> None:
        """A request that is under way ends, and its connection with it."""
        with self._lock:
            self._is_closed = True
            for kept in self._idle.values():
                for each in kept:
                    each.close()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, origin: Origin, over: _Socket, request: bytes, deadline: float) -> Answer:
        over.deadline = deadline
        try:
            answer = over.exchange(request)
        except BaseException:
            over.close()  # the server rolls back what runs for a client that went away
            raise
        if answer.keeps and answer.status == HTTPStatus.OK:
            self._give(origin, over)
        else:
            over.close()  # after a refusal a server may close although it did not say so
        return answer

    def _connect(self, origin: Origin, connect_timeout: float, deadline: float) -> _Socket:
        try:
            timeout = min(connect_timeout, remaining(deadline))
            raw = socket.create_connection((origin.host, origin.port), timeout)
        except OSError as error:
            raise Unsent(f"no connection: {error}") from error
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                raw = self._context().wrap_socket(raw, server_hostname=origin.host)
        except OSError as error:
            raw.close()
            raise Unsent(f"no connection: {error}") from error
        return _Socket(raw)

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context()
            return self._tls

    def _take(self, origin: Origin) -> _Socket | None:
        """The one used last: the others grow old and go."""
        while True:
            with self._lock:
                kept = self._own().get(origin)
                if not kept:
                    return None
                newest = kept.pop()
            if newest.is_fit(time.monotonic()):
                return newest
            newest.close()

    def _give(self, origin: Origin, over: _Socket) -> None:
        over.idle_since = time.monotonic()
        with self._lock:
            if self._is_closed:
                over.close()
                return
            idle = self._own()
            kept = idle.pop(origin, None) or deque()
            kept.append(over)
            idle[origin] = kept  # last, so that those nobody comes back to are first
            old = [kept.popleft()] if len(kept) > IDLE_SOCKETS else []
            old += _outlived(idle, over.idle_since)
        for each in old:
            each.close()

    def _own(self) -> dict[Origin, deque[_Socket]]:
        """A forked child leaves the parent's connections alone."""
        if self._process != os.getpid():
            self._process, self._idle = os.getpid(), {}
        return self._idle


def _outlived(idle: dict[Origin, deque[_Socket]], now: float) -> Iterator[_Socket]:
    """Taken out: what is too old, from the origins that were used longest ago."""
    while idle:
        origin = next(iter(idle))
        kept = idle[origin]
        while kept and not kept[0].is_young(now):
            yield kept.popleft()
        if kept:
            return
        del idle[origin]
