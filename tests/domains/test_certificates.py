"""Which hosts may have certificates: told to a proxy on this side, and to nobody else."""

import shutil
from ipaddress import ip_network
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.domains.conftest import ADDRESSES, Domains
from tests.isolation.raw import ask

pytestmark = pytest.mark.anyio

PATH = "/internal/tls/ask"
LOGIN = "login.acme.test"
NEAR = ("127.0.0.1:8000", "[::1]:8000", "localhost:8000", "keystead:8000", "10.0.0.7")


async def told(
    domains: Domains, domain: str, *, host: str = "127.0.0.1:8000", peer: str = "127.0.0.1", **headers: str
) -> int:
    pairs = [(b"host", host.encode())]
    pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    query = f"domain={domain}".encode()
    answer = await ask(domains.installation.app, PATH, pairs, query=query, peer=peer)
    return answer.status


async def test_hosts_of_tenants_may_have_certificates_and_no_other(domains: Domains) -> None:
    acme = await domains.of("acme")
    pending = await acme.claim("later.acme.test")
    await acme.proven(LOGIN)
    for domain in (LOGIN, "LOGIN.acme.test", "acme.id.example.com", "manage.example.com"):
        assert await told(domains, domain) == 200, domain
    for domain in (
        pending["domain"],
        "nobody.id.example.com",
        "www.id.example.com",
        "a.acme.id.example.com",
        "id.example.com",
        "example.org",
        "login.acme.test:443",
        "*.id.example.com",
        "%00",
        "",
        f"{LOGIN}&domain=example.org",
    ):
        assert await told(domains, domain) == 404, domain


async def test_a_suspended_tenant_still_speaks_tls_and_a_deleted_one_does_not(domains: Domains) -> None:
    acme, operator = await domains.of("acme"), await domains.installation.operator()
    await acme.proven(LOGIN)
    await operator.post("/tenants/acme/suspend")
    assert await told(domains, LOGIN) == 200
    await operator.delete("/tenants/acme")
    assert [await told(domains, name) for name in (LOGIN, "acme.id.example.com")] == [404, 404]


async def test_a_proxy_asks_at_an_address_of_the_inside(domains: Domains) -> None:
    for host in NEAR:
        assert await told(domains, "acme.id.example.com", host=host) == 200, host


async def test_nobody_outside_can_ask(domains: Domains) -> None:
    known = "acme.id.example.com"
    for host in ("manage.example.com", known, "example.org"):
        assert await told(domains, known, host=host) == 404
    for peer in ("192.0.2.9", "10.0.0.9", "2001:db8::9"):
        assert await told(domains, known, peer=peer) == 404
    for header in (
        "x_forwarded_for",
        "x_forwarded_host",
        "x_forwarded_proto",
        "forwarded",
        "via",
        "x_real_ip",
    ):
        assert await told(domains, known, **{header: "127.0.0.1"}) == 404, header


async def test_a_trusted_proxy_of_another_machine_asks_too(
    behind_https: tuple[Path, Demo], tmp_path: Path
) -> None:
    shutil.copytree(behind_https[0], tmp_path / "data")
    settings = settings_for(tmp_path / "data", **ADDRESSES, trusted_proxies=(ip_network("10.0.0.0/24"),))
    async with serving(settings, behind_https[1]) as installation:
        pairs = [(b"host", b"keystead:8000")]
        query = b"domain=acme.id.example.com"
        answers = [
            await ask(installation.app, PATH, pairs, query=query, peer=peer)
            for peer in ("10.0.0.9", "10.0.1.9")
        ]
    assert [answer.status for answer in answers] == [200, 404]
