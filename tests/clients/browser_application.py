"""A customer's own page beside the tenant, with a browser SDK from npm in it."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.clients.conftest import PACKAGES
from tests.serving import free_port

SCRIPTS = {
    "/auth0.js": PACKAGES / "@auth0/auth0-spa-js/dist/auth0-spa-js.production.js",
    "/oidc.js": PACKAGES / "oidc-client-ts/dist/browser/oidc-client-ts.min.js",
}
PAGE = "<!doctype html><title>app</title><script src=/auth0.js></script><script src=/oidc.js></script>"
SILENT = "<!doctype html><script src=/oidc.js></script><script>new oidc.UserManager({}).signinSilentCallback()</script>"


class _Application(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        script = SCRIPTS.get(path)
        body = script.read_bytes() if script else (SILENT if path == "/silent" else PAGE).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is worth a line."""


@contextmanager
def application(context: ssl.SSLContext) -> Iterator[str]:
    """Its origin."""
    port = free_port()
    with ThreadingHTTPServer(("127.0.0.1", port), _Application) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://app.acme.localhost:{port}"
        server.shutdown()
        thread.join()
