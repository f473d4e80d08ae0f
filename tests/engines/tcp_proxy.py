"""The same for any protocol over TCP (PostgreSQL's): connections that are refused, cut, slow, or lead nowhere."""

import contextlib
import select
import socket
import threading
import time

from tests.engines.proxy import Kind

IDLE_SECONDS = 60


class TcpProxy:
    """`delay` holds up what a client says; `black_hole` takes it and passes nothing on. Both may change at any time."""

    def __init__(self, upstream: int) -> None:
        self.delay = 0.0
        self.black_hole = False
        self._fault: tuple[bytes, Kind] | None = None
        self.turns = 0
        """How often a client spoke and then waited for the server."""

        self.port = 0
        self._upstream = upstream
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.up()

    def up(self) -> None:
        """On the same port as before."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Connections are refused, those that are open end."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    close = down

    def inject(self, kind: Kind, *, when: bytes) -> None:
        """Once, to the connection on which a client says that: it is cut, before or after it was passed on, or when
        the answer is there."""
        self._fault = when, kind

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self._upstream)) as server,
        ):
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            try:
                self._pump(client, server)
            finally:
                with self._lock:
                    self._open -= {client, server}

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        spoke_last = server
        while True:
            ready, _, _ = select.select([client, server], [], [], IDLE_SECONDS)
            if not ready:
                return
            for source in ready:
                received = source.recv(65536)
                if not received:
                    return
                if self.black_hole:
                    continue
                self.turns += source is client and spoke_last is server
                spoke_last = source
                if source is client:
                    time.sleep(self.delay)
                    if self._fault is not None and self._fault[0] in received:
                        self._cut_at(received, server)
                        return
                (server if source is client else client).sendall(received)

    def _cut_at(self, said: bytes, server: socket.socket) -> None:
        assert self._fault is not None
        kind, self._fault = self._fault[1], None
        if kind is not Kind.CUT_BEFORE:
            server.sendall(said)
        if kind is Kind.CUT_AFTER_ANSWER:
            server.recv(65536)
