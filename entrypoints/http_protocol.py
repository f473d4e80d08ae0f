"""How requests are read from the wire: uvicorn's protocol over httptools, and four rules that it leaves out."""

import asyncio
from typing import cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.one_write import OneWrite

LONGEST_HEAD = 64 * 1024
MOST_HEADERS = 200
MOST_UNWANTED = 1024 * 1024
"""Bytes of a body that are still taken when the request has been answered: so much may be on the way."""

REQUEST_SECONDS = 30.0
"""In which a request must have come as a whole, from the connection or the request before."""


class HeadTooLong(ValueError):
    """Raised inside the parser, which then gives up the request: 400, and the connection is closed."""


class HttpProtocol(HttpToolsProtocol):
    """A request line in absolute form names the host; the Host header beside it is ignored (RFC 9112 section 3.2.2).

    Otherwise a proxy in front that follows the rule and a server behind it that does not would see two hosts.

    Request line and headers have a limit, which the parser has not: it would hold whatever a stranger sends. So has
    the time that a request takes to arrive; one that comes in one piece, as nearly all do, starts no clock. And who
    was told that a body is too long is not listened to until its end.
    """

    _unfinished = 0
    """Bytes that came since something was complete: a head, a piece of a body, a request."""

    _unwanted = 0
    """Bytes of a body that came after its answer."""

    _in_head = False
    _is_arriving = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", OneWrite(transport, self.loop))
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._is_arriving and self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._give_up)
        if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The request is too long.")

    def _give_up(self) -> None:
        self.transport.close()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_message_begin(self) -> None:
        self._in_head = self._is_arriving = True
        self._unwanted = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """What follows a body in chunks is left out: the request that it would be added to is judged already."""
        if not self._in_head:
            return
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            raise HeadTooLong

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        if self.cycle is not None and self.cycle.response_complete:
            self._unwanted += len(body)
            if self._unwanted > MOST_UNWANTED:
                self._give_up()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished, self._is_arriving = 0, False
        self._stop_clock()
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LONGEST_HEAD:
            raise HeadTooLong
        self._in_head, self._unfinished = False, 0
        if self.url[:1] not in (b"/", b"*"):
            self._take_host_of_the_request_line()
        super().on_headers_complete()

    def _take_host_of_the_request_line(self) -> None:
        """Where no host can be read there is none, which is refused like a request without one."""
        try:
            parsed = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            return
        named = [value for name, value in self.headers if name == b"host"]
        if len(named) > 1:
            return
        self.headers[:] = [(name, value) for name, value in self.headers if name != b"host"]
        if parsed.host is not None:
            port = b":%d" % parsed.port if parsed.port is not None else b""
            self.headers.append((b"host", parsed.host + port))
