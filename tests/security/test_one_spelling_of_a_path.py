"""A path has one spelling and a method is what the request line says: nothing comes to a handler by another way
(`specs/bad-inputs.md` 139)."""

import json

import pytest

from tests.installation import Installation
from tests.isolation.raw import listening, send_bytes

pytestmark = pytest.mark.anyio

PATHS = (
    "//authorize", "/authorize/", "/authorize//", "/%2fauthorize", "/authorize%2f", "/authorize;x",
    "/authorize;jsessionid=1",
    "/authorize.", "/authorize..", "/authorize%00", "/AUTHORIZE", "/Authorize", "/./authorize", "/x/../authorize",
    "/authorize%20", "/authorize%09", "/oauth//token", "/oauth/token/", "/oauth/./token", "/oauth/token%2e",
    "/OAuth/token",
    "/api//v2/roles", "/api/v2//roles", "/api/v2/roles/", "/api/v2/roles;x", "/api/v2/./roles", "/api/v2/x/../roles",
    "/API/v2/roles", "/api/v2/roles%2f", "/api%2fv2%2froles", "/userinfo/", "//userinfo", "/.well-known//jwks.json",
    "/.well-known/jwks.json/", "/u//login/identifier", "\\authorize", "/\\authorize", "*",
)  # fmt: skip
METHODS = ("TRACE", "CONNECT", "TRACK", "PROPFIND", "BREW", "get", "G")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_no_other_spelling_leads_anywhere(shared: Installation, method: str) -> None:
    token = (await shared.manager("acme"))._headers["Authorization"].encode()
    rest = b" HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 0\r\nAuthorization: " + token
    found = {}
    async with listening(shared.app) as port:
        for path in PATHS:
            line = f"{method} {path}".encode("latin-1")
            found[path] = (await send_bytes(port, line + rest + b"\r\nConnection: close\r\n\r\n"))[0]
    allowed = {
        path: (400, 403, 404, 405) if path.startswith("/api/v2/") else (400, 404, 405) for path in PATHS
    }
    assert {path: status for path, status in found.items() if status not in allowed[path]} == {}


async def test_no_other_method_leads_anywhere(shared: Installation) -> None:
    paths = (
        "/",
        "/authorize",
        "/oauth/token",
        "/api/v2/roles",
        "/userinfo",
        "/.well-known/jwks.json",
        "/nothing",
    )
    found = {}
    async with listening(shared.app) as port:
        for method in METHODS:
            for path in paths:
                target = "acme.localhost:80" if method == "CONNECT" else path
                head = f"{method} {target} HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 0\r\n"
                status, answer = await send_bytes(port, head.encode() + b"Connection: close\r\n\r\n")
                found[method, path] = status
                assert b"acme.localhost\r\nContent-Length" not in answer, "nothing is said back (TRACE)"
    wrong = {where: status for where, status in found.items() if status not in (0, 400, 401, 403, 404, 405)}
    assert wrong == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-HTTP-Method": "DELETE"},
        {"X-Method-Override": "DELETE"},
        {},
    ],
)
async def test_a_method_is_not_overridden(shared: Installation, headers: dict[str, str]) -> None:
    manager, base = await shared.manager("acme"), f"{shared.tenant('acme').issuer}api/v2/roles"
    role = await manager.post("/roles", {"name": f"kept {len(headers)} {json.dumps(headers)[:24]}"})
    url, auth = f"{base}/{role['id']}?_method=DELETE", manager._headers
    for content in (b"_method=DELETE", b'{"_method":"DELETE"}'):
        kind = "application/json" if content.startswith(b"{") else "application/x-www-form-urlencoded"
        answer = await shared.http.post(
            url, content=content, headers={**auth, **headers, "Content-Type": kind}
        )
        assert answer.status_code in (400, 404, 405, 415)
    assert (await shared.http.get(url, headers={**auth, **headers})).status_code in (200, 400)
    assert (await manager.get(f"/roles/{role['id']}"))["id"] == role["id"]
