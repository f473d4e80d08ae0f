"""How requests are read from the wire: uvicorn's protocol over httptools, and one rule that it leaves out."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """A request line in absolute form names the host; the Host header beside it is ignored (RFC 9112 section 3.2.2).

    Otherwise a proxy in front that follows the rule and a server behind it that does not would see two hosts.
    """

    def on_headers_complete(self) -> None:
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
