"""Two databases are written for a domain: whoever dies in between has done the first, and the second follows."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from core import failpoints
from core.failpoints import EXIT_STATUS
from entrypoints.demo_content import Demo
from tests.domains.conftest import Domains
from tests.domains.name_server import name_server
from tests.domains.serving import Inside, copied, started
from tests.engines.carried import ENGINE
from tests.faults.servers import Server
from tests.operators import Caller, machine_token

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(ENGINE is not None, reason="the servers are on files")]

LOGIN, HOST = "login.acme.test", "https://acme.id.example.com/"


async def call(
    server: Server, demo: Demo, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response | None:
    """None: the server died of it."""
    tenant = next(tenant for tenant in demo.tenants if tenant.id == "acme")
    async with httpx.AsyncClient(transport=Inside(server), timeout=30) as http:
        token = await machine_token(http, HOST, tenant.clients["m2m"], tenant.management_audience)
        try:
            return await Caller(http, token).call(method, f"{HOST}api/v2{path}", body, headers=headers)
        except httpx.TransportError:
            return None


async def dies(server: Server) -> None:
    server.process.join(20)
    assert server.process.exitcode == EXIT_STATUS, server.said()


@pytest.mark.parametrize("place", ["claimed", "proven", "released"])
async def test_what_failed_after_the_registry_was_written_is_done_by_asking_again(
    domains: Domains, place: str
) -> None:
    acme, body = await domains.of("acme"), {"domain": LOGIN, "type": "self_managed_certs"}
    failpoints.configure(f"custom_domains.{place}=raise@1")
    try:
        made = [await acme.call("POST", "", body, **{"Idempotency-Key": "once"}) for _ in range(2)][-1].json()
        method, path = made["verification"]["methods"][0], f"/{made['custom_domain_id']}"
        domains.names.put(method["domain"], method["record"])
        proven = [await acme.call("POST", f"{path}/verify") for _ in range(2)][-1]
        assert proven.json()["status"] == "ready"
        assert [each["custom_domain_id"] for each in (await acme.call("GET")).json()] == [
            made["custom_domain_id"]
        ]
        assert [(await acme.call("DELETE", path)).status_code for _ in range(2)][-1] == 204
        assert (await acme.call("GET")).json() == []
    finally:
        failpoints.configure("")


@pytest.mark.long  # four processes, one after the other
@pytest.mark.faults
async def test_a_domain_is_claimed_proven_and_released_once_whenever_the_server_dies(
    behind_https: tuple[Path, Demo], tmp_path: Path
) -> None:
    data, demo = copied(behind_https, tmp_path), behind_https[1]
    body, once = {"domain": LOGIN, "type": "self_managed_certs"}, {"Idempotency-Key": "once"}
    async with name_server() as names:
        server = started(data, names, "custom_domains.claimed=exit")
        try:
            await server.ready()
            assert await call(server, demo, "POST", "/custom-domains", body, **once) is None
            await dies(server)
            server = started(data, names, "custom_domains.proven=exit")
            await server.ready()
            made = await call(server, demo, "POST", "/custom-domains", body, **once)
            assert made is not None
            assert made.status_code == 201, made.text
            listed = await call(server, demo, "GET", "/custom-domains")
            assert listed is not None
            assert [domain["custom_domain_id"] for domain in listed.json()] == [
                made.json()["custom_domain_id"]
            ]
            method, path = (
                made.json()["verification"]["methods"][0],
                f"/custom-domains/{made.json()['custom_domain_id']}",
            )
            names.put(method["domain"], method["record"])
            assert await call(server, demo, "POST", f"{path}/verify") is None
            await dies(server)
            server = started(data, names, "custom_domains.released=exit")
            await server.ready()
            proven = await call(server, demo, "POST", f"{path}/verify")
            assert proven is not None
            assert proven.json()["status"] == "ready"
            assert await call(server, demo, "DELETE", path) is None
            await dies(server)
            server = started(data, names)
            await server.ready()
            gone = await call(server, demo, "DELETE", path)
            assert gone is not None
            assert gone.status_code == 204
            left = await call(server, demo, "GET", "/custom-domains")
            assert left is not None
            assert left.json() == []
        finally:
            server.stop()
