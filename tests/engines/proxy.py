"""What may go wrong between a client and an HTTP server, at will: stands before a real server on loopback.

Faults are given to the next requests (`inject`), or to those of them that are meant. Traits change what passes, as a
managed service does (`cloud.py`). WebSockets are tunnelled; a fault meets them where they are opened.
"""

import http.client
import select
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

# What a proxy does not pass on; compression too, so that the traits can read an answer.
DROPPED = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "accept-encoding"}
)
UPSTREAM_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Request:
    """Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def has(self, text: str) -> bool:
        return text.encode() in self.body


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class Kind(Enum):
    CUT_BEFORE = auto()  # the server never hears of it
    CUT_AFTER_SENDING = auto()  # it has the request; both connections end without an answer
    CUT_AFTER_ANSWER = auto()  # it has done the work; the answer is lost
    TRUNCATED = auto()  # half an answer, shorter than its Content-Length says
    GARBLED = auto()  # half an answer whose Content-Length agrees
    REFUSED = auto()  # answered here, with `status`
    DELAYED = auto()  # reaches the server after `seconds`
    ANSWERED_LATE = auto()  # comes back after `seconds`
    BLACK_HOLE = auto()  # taken, and never answered until `heal`


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    seconds: float = 0
    status: int = 503
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Traits(Protocol):
    """What a service in front of the server does to what passes."""

    def request(self, request: Request) -> Request | Answer: ...

    def answer(self, request: Request, answer: Answer, send: Callable[[Request], Answer]) -> Answer: ...


def anything(_: Request) -> bool:
    return True


@dataclass(slots=True)
class _Rule:
    fault: Fault
    when: Callable[[Request], bool]
    times: int | None
    every: int
    met: int = 0


class Proxy:
    """`upstream` is a port, or chooses one for a request and may change the request on its way."""

    def __init__(
        self, upstream: int | Callable[[Request], tuple[int, Request]], traits: Traits | None = None
    ) -> None:
        self.traits = traits
        self.seen: list[Request] = []
        self.port = 0
        self._choose = (lambda request: (upstream, request)) if isinstance(upstream, int) else upstream
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._healed = threading.Event()
        self._clients: set[socket.socket] = set()
        self._server: _Server | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def inject(
        self,
        fault: Fault,
        *,
        times: int | None = 1,
        when: Callable[[Request], bool] = anything,
        every: int = 1,
    ) -> None:
        """`times` None: until `heal`. `every` 2: one request fails, the next passes, and so on."""
        with self._lock:
            self._rules.append(_Rule(fault, when, times, every))

    def heal(self) -> None:
        with self._lock:
            self._rules.clear()
            self._healed.set()
            self._healed = threading.Event()

    def up(self) -> None:
        """On the same port as before."""
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.accept_all, daemon=True).start()

    def down(self) -> None:
        """Connections are refused, those that are open end."""
        server, self._server = self._server, None
        if server is None:
            return
        _shut(server.socket)  # wakes who accepts
        server.server_close()
        self.cut()

    def cut(self) -> None:
        """Every open connection ends, tunnels too."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            _shut(client)

    def close(self) -> None:
        self.heal()
        self.down()

    # ---- of one request, for the handler -----------------------------------------------------------------------------

    def fault_for(self, request: Request) -> Fault | None:
        with self._lock:
            for rule in self._rules:
                if not rule.when(request):
                    continue
                rule.met += 1
                if (rule.met - 1) % rule.every:
                    continue
                if rule.times is not None:
                    rule.times -= 1
                    if not rule.times:
                        self._rules.remove(rule)
                return rule.fault
        return None

    def send(self, request: Request, client: socket.socket | None = None) -> Answer:
        """A client that leaves takes its request with it: it would wait for a lock in the name of nobody."""
        port, changed = self._choose(request)
        connection = _sent(port, changed)
        try:
            if client is not None and not _is_waited_for(connection.sock, client):
                raise _Cut
            got = connection.getresponse()
            body = got.read()
        finally:
            connection.close()
        headers = {name: value for name, value in got.getheaders() if name.lower() not in DROPPED}
        return Answer(got.status, body, headers)

    def send_and_leave(self, request: Request, seconds: float) -> None:
        port, changed = self._choose(request)
        connection = _sent(port, changed)
        time.sleep(seconds)
        connection.close()

    def passed(self, request: Request, client: socket.socket) -> Answer:
        if self.traits is None:
            return self.send(request, client)
        changed = self.traits.request(request)
        if isinstance(changed, Answer):
            return changed
        return self.traits.answer(changed, self.send(changed, client), self.send)

    def tunnel(self, request: Request, client: socket.socket) -> None:
        port, changed = self._choose(request)
        lines = [f"{changed.method} {changed.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in changed.headers.items()]
        with socket.create_connection(("127.0.0.1", port), UPSTREAM_SECONDS) as server:
            server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            _pump(client, server)

    def wait_until_healed(self) -> None:
        self._healed.wait(UPSTREAM_SECONDS)

    def opened(self, client: socket.socket) -> None:
        with self._lock:
            self._clients.add(client)

    def closed(self, client: socket.socket) -> None:
        with self._lock:
            self._clients.discard(client)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def accept_all(self) -> None:
        """Until the listening socket is shut: nobody wakes up to look whether it is."""
        while True:
            try:
                request, client_address = self.get_request()
            except OSError:
                return
            self.process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what these tests are about; anything else is a mistake of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Cut(Exception):
    """The connection ends here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.proxy.opened(self.connection)

    def finish(self) -> None:
        self.server.proxy.closed(self.connection)
        super().finish()

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def _any(self) -> None:
        proxy, request = self.server.proxy, self._request()
        proxy.seen.append(request)
        try:
            answer, declared = self._answer(proxy, request)
        except (_Cut, OSError, http.client.HTTPException):
            self.close_connection = True
            _shut(self.connection)
            return
        self._write(answer, declared)
        if len(answer.body) < declared:
            self.close_connection = True
            _shut(self.connection)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _any

    def _request(self) -> Request:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, headers, self.rfile.read(length))

    def _answer(self, proxy: Proxy, request: Request) -> tuple[Answer, int]:
        """The answer, and how long its head says that it is."""
        fault = proxy.fault_for(request)
        match fault.kind if fault else None:
            case Kind.CUT_BEFORE:
                raise _Cut
            case Kind.BLACK_HOLE:
                proxy.wait_until_healed()
                raise _Cut
            case Kind.CUT_AFTER_SENDING:
                proxy.send_and_leave(request, fault.seconds if fault else 0)
                raise _Cut
            case Kind.REFUSED if fault:
                return Answer(fault.status, fault.body, fault.headers), len(fault.body)
            case Kind.DELAYED if fault:
                time.sleep(fault.seconds)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return self._upgraded(proxy, request)
        answer = proxy.passed(request, self.connection)
        return self._spoilt(fault, answer)

    def _upgraded(self, proxy: Proxy, request: Request) -> tuple[Answer, int]:
        allowed = proxy.traits.request(request) if proxy.traits else request
        if isinstance(allowed, Answer):
            return allowed, len(allowed.body)
        proxy.tunnel(allowed, self.connection)
        raise _Cut

    @staticmethod
    def _spoilt(fault: Fault | None, answer: Answer) -> tuple[Answer, int]:
        half = replace(answer, body=answer.body[: len(answer.body) // 2])
        match fault.kind if fault else None:
            case Kind.CUT_AFTER_ANSWER:
                raise _Cut
            case Kind.TRUNCATED:
                return half, len(answer.body)
            case Kind.GARBLED:
                return half, len(half.body)
            case Kind.ANSWERED_LATE if fault:
                time.sleep(fault.seconds)
        return answer, len(answer.body)

    def _write(self, answer: Answer, declared: int) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(declared))
        self.end_headers()
        self.wfile.write(answer.body)


def _sent(port: int, request: Request) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=UPSTREAM_SECONDS)
    connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        if name not in DROPPED:
            connection.putheader(name, value)
    connection.putheader("content-length", str(len(request.body)))
    connection.endheaders(request.body)
    return connection


def _is_waited_for(server: socket.socket, client: socket.socket) -> bool:
    """Until the server answers or the client leaves: whether the client is still there."""
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        selector.register(client, selectors.EVENT_READ)
        ready = {key.fileobj for key, _ in selector.select(UPSTREAM_SECONDS)}
    if server in ready or client not in ready:
        return True
    return bool(client.recv(1, socket.MSG_PEEK))


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Bytes both ways until either ends."""
    while True:
        ready, _, _ = select.select([one, other], [], [], UPSTREAM_SECONDS)
        for source in ready:
            received = source.recv(65536)
            if not received:
                return
            (other if source is one else one).sendall(received)
        if not ready:
            return


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended already
