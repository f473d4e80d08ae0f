"""Which tenant a host is, and what may not change it: group T of the bad inputs, through the front door."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from core import failpoints
from entrypoints.asgi import create_app
from entrypoints.demo_content import CALLBACK, Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.isolation.conftest import A, B, Neighbours, neighbours_of
from tests.isolation.raw import Header, ask, listening, send_bytes
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

METADATA = "/.well-known/openid-configuration"
KINDS = (
    METADATA,
    "/.well-known/jwks.json",
    "/authorize",
    "/oauth/token",
    "/userinfo",
    "/api/v2/roles",
    "/login",
    "/",
)


def host(value: str | bytes) -> Header:
    return b"host", value if isinstance(value, bytes) else value.encode()


async def issuer_at(app: object, *headers: Header) -> str | None:
    answer = await ask(app, METADATA, list(headers))
    return answer.json()["issuer"] if answer.status == 200 else None


def files(installation: Installation) -> set[Path]:
    return set(installation.app.settings.data_dir.rglob("*.db"))


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        "nobody.localhost:8000",
        "acme.example.com",
        "127.0.0.1:8000",
        "[::1]:8000",
        "www.localhost",
        "localhost.evil",
    ],
)
async def test_t1_the_host_of_no_tenant_is_404_and_names_nothing(
    shared: Installation, path: str, name: str
) -> None:
    before = files(shared)
    answer = await ask(shared.app, path, [host(name)])
    assert answer.status == 404
    if path != "/login" and path != "/" and path != "/authorize":
        assert "tenant_not_found" in answer.body.decode()
    for word in (b"acme", b"globex", b"initech", b"control_plane"):
        assert word not in answer.body.replace(name.encode(), b""), word
    assert files(shared) == before


@pytest.mark.parametrize(
    "header",
    [
        b"x-forwarded-host", b"x-original-host", b"x-host", b"x-http-host-override", b"x-forwarded-server",
        b"x_forwarded_host", b"x-rewrite-url", b"x-original-url", b":authority", b"x-tenant", b"tenant",
    ],
)  # fmt: skip
async def test_t2_t3_headers_of_strangers_change_nothing(shared: Installation, header: bytes) -> None:
    for value in (b"globex.localhost:8000", b"localhost:8000"):
        found = await issuer_at(shared.app, host("acme.localhost:8000"), (header, value))
        assert found == shared.tenant(A).issuer


async def test_t2_the_forwarded_header_changes_nothing(shared: Installation) -> None:
    value = b"for=1.2.3.4;host=globex.localhost;proto=https"
    found = await issuer_at(shared.app, host("acme.localhost:8000"), (b"forwarded", value))
    assert found == shared.tenant(A).issuer


@pytest.fixture
async def behind_a_proxy(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[Installation]:
    settings = settings_for(data_dir, trusted_proxies=(ip_network("10.0.0.0/8"),))
    async with serving(settings, golden[1]) as installation:
        yield installation


async def test_t4_a_trusted_proxy_names_one_host_or_is_400(behind_a_proxy: Installation) -> None:
    app, own = behind_a_proxy.app, host("acme.localhost:8000")

    async def asked(peer: str, *values: bytes) -> tuple[int, str | None]:
        headers = [own, *((b"x-forwarded-host", value) for value in values)]
        answer = await ask(app, METADATA, headers, peer=peer)
        return answer.status, answer.json()["issuer"] if answer.status == 200 else None

    issuers = {name: behind_a_proxy.tenant(name).issuer for name in (A, B)}
    assert await asked("10.1.2.3", b"globex.localhost") == (200, issuers[B])
    assert await asked("10.1.2.3") == (200, issuers[A])
    assert await asked("192.168.1.1", b"globex.localhost") == (200, issuers[A])
    assert (await asked("10.1.2.3", b"globex.localhost", b"acme.localhost"))[0] == 400
    assert (await asked("10.1.2.3", b"globex.localhost, acme.localhost"))[0] == 400
    assert (await asked("10.1.2.3", b"nobody.localhost"))[0] == 404


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /.well-known/openid-configuration HTTP/1.0\r\n\r\n",
        b"GET /.well-known/openid-configuration HTTP/1.1\r\n\r\n",
        b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: acme.localhost\r\nHost: globex.localhost\r\n\r\n",
        b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: acme.localhost\r\nHost: acme.localhost\r\n\r\n",
    ],
)
async def test_t5_no_host_an_empty_one_or_two_are_400(shared: Installation, request_line: bytes) -> None:
    async with listening(shared.app) as port:
        status, received = await send_bytes(
            port, request_line.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
    assert status == 400, received
    assert b"issuer" not in received


@pytest.mark.parametrize(
    ("line", "other", "expected"),
    [(b"http://globex.localhost:8000", b"Host: acme.localhost\r\n", B), (b"http://acme.localhost", b"", A)],
)
async def test_t6_an_absolute_request_line_decides_whose_it_is(
    shared: Installation, line: bytes, other: bytes, expected: str
) -> None:
    """RFC 9112 section 3.2.2."""
    request = b"GET " + line + METADATA.encode() + b" HTTP/1.1\r\n" + other + b"Connection: close\r\n\r\n"
    async with listening(shared.app) as port:
        status, received = await send_bytes(port, request)
    assert status == 200, received
    for name in (A, B):
        assert (shared.tenant(name).issuer.encode() in received) == (name == expected)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET http://nobody.localhost/ HTTP/1.1\r\nHost: acme.localhost",
        b"GET http://globex.localhost/ HTTP/1.1\r\nHost: acme.localhost\r\nHost: acme.localhost",
        b"GET http:///x HTTP/1.1\r\nHost: acme.localhost",
        b"CONNECT globex.localhost:443 HTTP/1.1\r\nHost: acme.localhost",
    ],
)
async def test_t6_a_request_line_that_names_nobody_or_too_many_is_refused(
    shared: Installation, request_line: bytes
) -> None:
    async with listening(shared.app) as port:
        status, received = await send_bytes(port, request_line + b"\r\nConnection: close\r\n\r\n")
    assert status in (0, 400, 404, 405), received
    assert b"Acme" not in received


@pytest.mark.parametrize(
    "spelling",
    [
        "ACME.localhost", "acme.localhost.", "acme.localhost:8000", "acme.localhost:443", "Acme.LOCALHOST.:8000",
    ],
)  # fmt: skip
async def test_t7_spellings_that_dns_holds_equal_are_one_tenant_and_one_issuer(
    shared: Installation, spelling: str
) -> None:
    assert await issuer_at(shared.app, host(spelling)) == shared.tenant(A).issuer


@pytest.mark.parametrize("spelling", ["\uff41\uff43\uff4d\uff45.localhost", "acme\u3002localhost"])
async def test_t7_in_other_scripts_it_is_the_same_tenant_or_refused(
    shared: Installation, spelling: str
) -> None:
    """RFC 9110 allows no such bytes in a Host header; browsers send A-labels."""
    assert await issuer_at(shared.app, host(spelling)) in (shared.tenant(A).issuer, None)


@pytest.mark.parametrize(
    "spelling",
    [
        b"acme\x00.localhost", b"acme.localhost\x00", b"acme .localhost", b"ac_me.localhost", b"-acme.localhost",
        b"a" * 64 + b".localhost", b"acme.localhost:99999", b"acme.localhost:x", b"acme.localhost..", b"xn--.localhost",
        b"\xff\xfe.localhost", b"acme@globex.localhost", b"acme.localhost/x", b"acme.localhost?x", b"%61cme.localhost",
    ],
)  # fmt: skip
async def test_t7_what_dns_does_not_hold_equal_is_nobody(shared: Installation, spelling: bytes) -> None:
    answer = await ask(shared.app, METADATA, [host(spelling)])
    assert answer.status in (400, 404)


@pytest.mark.parametrize(
    "name",
    [
        "a.b.localhost", "www.acme.localhost", "evillocalhost", "acmelocalhost", "localhost.evil",
        "acme.localhost.evil", "acme.evillocalhost", ".localhost", "..localhost", "control_plane.localhost",
        "control-plane.localhost",
    ],
)  # fmt: skip
async def test_t8_exactly_one_label_before_the_base_domain(shared: Installation, name: str) -> None:
    assert (await ask(shared.app, METADATA, [host(name)])).status == 404


async def test_t13_a_suspended_tenant_says_so_in_each_surfaces_own_way(installation: Installation) -> None:
    rp, operator = installation.relying_party(A), await installation.operator()
    tokens = await rp.sign_in()
    manager = await installation.manager(A)
    await operator.post(f"/tenants/{A}/suspend")
    for changes in ({"prompt": "none"}, {"prompt": "login"}, {}):
        await rp.authorize(**changes)
        assert rp.landed["error"] == "access_denied", changes
        assert rp.landed["iss"] == rp.issuer
        assert "code" not in rp.landed
    untrusted = await rp.authorize(redirect_uri="https://evil.example/cb")
    assert rp.browser.landed is None
    assert untrusted.status_code == 403
    for form in (
        {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token},
        {"grant_type": "client_credentials"},
    ):
        answer = await rp.token(dict(form))
        assert (answer.status, answer.error) == (400, "access_denied")
    userinfo = await rp.userinfo(tokens.access_token)
    assert (userinfo.status_code, userinfo.json()["error"]) == (403, "tenant_suspended")
    assert await manager.status("GET", "/roles") == 403
    assert await manager.status("POST", "/roles", {"name": "x"}) == 403
    for path in (
        ".well-known/openid-configuration",
        ".well-known/oauth-authorization-server",
        ".well-known/jwks.json",
    ):
        assert (await installation.http.get(f"{rp.issuer}{path}")).status_code == 200
    login = await installation.http.get(f"{rp.issuer}login")
    assert login.status_code in (403, 404)
    await operator.post(f"/tenants/{A}/resume")
    assert (await rp.refresh(tokens.refresh_token)).status == 200, "what stood before stands again"
    assert "code" in await rp.silent()


async def test_t13_another_process_hears_of_a_suspension_at_its_next_request(
    installation: Installation,
) -> None:
    """Two applications on one data folder."""
    other = create_app(settings_for(installation.app.settings.data_dir))
    issuer = installation.tenant(A).issuer
    operator = await installation.operator()
    async with other.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app=other)) as there:
        keys, token = f"{issuer}.well-known/jwks.json", f"{issuer}oauth/token"
        for _ in range(5):
            assert (await there.post(token, data={"grant_type": "x"})).json()[
                "error"
            ] == "unsupported_grant_type"
            await operator.post(f"/tenants/{A}/suspend")
            assert (await there.post(token, data={"grant_type": "x"})).json()["error"] == "access_denied"
            assert (await there.get(keys)).status_code == 200
            await operator.post(f"/tenants/{A}/resume")
        await operator.delete(f"/tenants/{A}")
        assert (await there.get(keys)).status_code == 404


async def test_t14_an_id_freed_after_a_failed_creation_starts_clean(installation: Installation) -> None:
    neighbours = await neighbours_of(installation)
    platform, plane = neighbours.platform, installation.demo.control_plane.issuer
    failpoints.configure("provision.organization.before=raise")
    try:
        made = await platform.call("POST", f"{plane}api/v2/tenants", {"id": "phoenix"})
        assert made.json()["state"] == "failed"
        first = await _registered(installation)
        assert (await platform.call("DELETE", f"{plane}api/v2/tenants/phoenix")).status_code == 202
    finally:
        failpoints.configure("")
    async with asyncio.timeout(60):
        while (await platform.call("GET", f"{plane}api/v2/tenants/phoenix")).status_code != 404:
            await asyncio.sleep(0.05)
    assert (await platform.call("POST", f"{plane}api/v2/tenants", {"id": "phoenix"})).json()[
        "state"
    ] == "active"
    second = await _registered(installation)
    assert not set(first) & set(second)


async def _registered(installation: Installation) -> tuple[object, ...]:
    def row(connection):  # type: ignore[no-untyped-def]
        statement = "SELECT incarnation, organization_id, wrapped_key FROM tenants WHERE id = 'phoenix'"
        return tuple(connection.exec_driver_sql(statement).one())

    found: tuple[object, ...] = await installation.running.platform.registry.read(row)
    return found


async def test_t15_a_client_of_b_at_as_authorize_is_a_page_and_no_redirect(neighbours: Neighbours) -> None:
    client = neighbours.installation.tenant(B).clients["web"].client_id
    query = urlencode({"client_id": client, "response_type": "code", "redirect_uri": CALLBACK, "state": "s"})
    answer = await neighbours.http.get(f"{neighbours.issuer(A)}authorize?{query}")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert client not in answer.text


async def test_s114_what_is_kept_for_one_tenant_is_never_shown_to_another(shared: Installation) -> None:
    """The same paths of two tenants in turn, with whatever is kept in between, here or by who asked before."""
    shown: dict[str, list[str]] = {A: [], B: []}
    kept: dict[str, str] = {}
    for tenant_id in (A, B, A, B):
        tenant = shared.tenant(tenant_id)
        texts = []
        for path in (
            METADATA,
            "/.well-known/oauth-authorization-server",
            "/.well-known/jwks.json",
            "/api/auth/ok",
        ):
            answer = await shared.http.get(f"{tenant.issuer[:-1]}{path}", headers=kept)
            assert answer.status_code == 200, path
            kept |= {"If-None-Match": answer.headers["etag"]} if "etag" in answer.headers else {}
            texts.append(answer.text)
        async with shared.browser() as http:
            rp = RelyingParty(
                http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0]
            )
            page = await rp.authorize(ui_locales="en")
            texts.append(page.text)
        assert tenant.issuer in texts[0]
        assert tenant_id.title() in page.text
        (other,) = {A, B} - {tenant_id}
        assert not any(word in text for word in (other, other.title()) for text in texts)
        shown[tenant_id] += texts[:-1]
    for texts in shown.values():
        assert texts[: len(texts) // 2] == texts[len(texts) // 2 :]
    assert not {text for text in shown[A] if "ok" not in text} & set(shown[B])


@pytest.mark.parametrize(
    "path", ["//api/v2/roles", "/api/v2/roles/", "/api/v2//roles", "/api/v2/roles;x", "/api/v2%2froles"]
)
async def test_two_spellings_of_a_path_are_not_one_handler(shared: Installation, path: str) -> None:
    answer = await ask(shared.app, path, [host("acme.localhost:8000")])
    assert answer.status == 404
