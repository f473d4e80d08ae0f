"""A relying party in one file: sign in at a tenant with a browser, and see who came back.

    .venv/bin/python docs/examples/login.py http://acme.localhost:8000/ CLIENT_ID

Authorization code with PKCE for a public client (RFC 8252: the answer comes to a loopback address).
CLIENT_ID is the tenant's `spa` client, as `make run` prints it.
"""

import base64
import hashlib
import json
import secrets
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

CALLBACK = "http://127.0.0.1:9871/callback"


def endpoint(url: str) -> tuple[str, dict[str, str]]:
    """Browsers know that *.localhost is this machine; many resolvers do not, so the Host header says it."""
    parts = urlsplit(url)
    if not (parts.hostname or "").endswith(".localhost"):
        return url, {}
    return parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl(), {"Host": parts.netloc}


def call(method: str, url: str, **more: Any) -> dict[str, Any]:
    address, headers = endpoint(url)
    answer = httpx.request(method, address, headers=headers | more.pop("headers", {}), **more)
    answer.raise_for_status()
    return answer.json()


def wait_for_callback() -> dict[str, str]:
    seen: dict[str, str] = {}

    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.update({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"Signed in. You can close this window.\n")

        def log_message(self, *_: object) -> None:
            """Silent: the address holds the code."""

    with HTTPServer(("127.0.0.1", 9871), Callback) as server:
        while not {"code", "error"} & seen.keys():
            server.handle_request()
    return seen


def main(issuer: str, client_id: str) -> None:
    metadata = call("GET", f"{issuer}.well-known/openid-configuration")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    request = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    print("Open this in your browser:\n\n " + f"{metadata['authorization_endpoint']}?{urlencode(request)}\n")
    answer = wait_for_callback()
    if answer.get("state") != state or answer.get("iss") != issuer:  # RFC 9207: who answered?
        sys.exit("That answer was not for us.")
    if "error" in answer:
        sys.exit(f"{answer['error']}: {answer.get('error_description', '')}")
    code = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": CALLBACK}
    tokens = call(
        "POST",
        metadata["token_endpoint"],
        data=code | {"client_id": client_id, "code_verifier": verifier},
    )
    person = call(
        "GET",
        metadata["userinfo_endpoint"],
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    print("Signed in as:\n" + json.dumps(person, indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
