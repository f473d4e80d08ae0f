"""F28 to F30: more tenants than handles, a process that stands still, a tenant that is loud."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path
from time import monotonic

import httpx
import pytest

from core.tenants import NewTenant
from provisioning.platform import open_platform
from tests.conftest import settings_for
from tests.faults.conftest import Ground
from tests.faults.everything.noise import make_noise
from tests.faults.servers import FORKS, serving
from tests.operators import machine_token
from tests.relying_party import RelyingParty

pytestmark = [pytest.mark.anyio, pytest.mark.long]

CROWD = int(os.environ.get("FAULTS_CROWD", "5000"))
HANDLES = 400
LOUD = 500


async def _crowded(data: Path, count: int) -> None:
    """Tenants without content, made as the platform makes them."""
    platform = await open_platform(settings_for(data))
    try:
        for start in range(0, count, 8):
            await asyncio.gather(
                *(
                    platform.lifecycle.create(NewTenant(id=f"crowd{number}", display_name=f"Crowd {number}"))
                    for number in range(start, min(count, start + 8))
                )
            )
    finally:
        await platform.close()


async def test_f28_thousands_of_tenants_share_few_handles(ground: Ground) -> None:
    await _crowded(ground.data, CROWD)
    async with serving(ground.data, handles=HANDLES) as server, server.client() as http:
        token = (await ground.operator(http)).token
        keys: dict[int, str] = {}
        most, statuses = 0, Counter[int]()
        gate = asyncio.Semaphore(24)

        async def visit(number: int) -> None:
            nonlocal most
            origin = f"http://crowd{number}.localhost:8000"
            async with gate:
                found = await http.get(f"{origin}/.well-known/jwks.json")
                roles = await http.get(
                    f"{origin}/api/v2/clients", headers={"Authorization": f"Bearer {token}"}
                )
            statuses.update((found.status_code, roles.status_code))
            kid = found.json()["keys"][0]["kid"]
            assert keys.setdefault(number, kid) == kid, "another tenant's key"
            most = max(most, len(os.listdir(f"/proc/{server.process.pid}/fd")))

        rng = random.Random(28)
        began = monotonic()
        await asyncio.gather(*(visit(rng.randrange(CROWD)) for _ in range(2 * CROWD)))
        print(
            f"{sum(statuses.values())} requests over {len(keys)} tenants in {monotonic() - began:.1f} s,"
            f" {dict(statuses)}, at most {most} handles of {HANDLES}"
        )
        assert set(statuses) == {200}
        assert len(set(keys.values())) == len(keys)
        assert most <= HANDLES


async def test_f29_a_process_that_stood_still_goes_on_and_a_flood_of_passwords_is_turned_away(
    ground: Ground,
) -> None:
    acme, globex = ground.demo.tenants[:2]
    async with (
        serving(
            ground.data, PASSWORD_QUEUE_LIMIT="4", PASSWORD_MEMORY_KIB="65536", PASSWORD_ITERATIONS="4"
        ) as server,
        server.client() as http,
    ):
        rp = RelyingParty(http, acme.issuer, acme.clients["web"], acme.api_audience, acme.users[0])
        tokens = await rp.sign_in()
        asking = [asyncio.create_task(http.get(f"{globex.issuer}.well-known/jwks.json")) for _ in range(50)]
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(2)
        server.signal(signal.SIGCONT)
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}

        flood = [asyncio.create_task(_wrong_password(server.client(), globex)) for _ in range(60)]
        refreshed = await rp.refresh(tokens.refresh_token)
        assert refreshed.status == 200
        statuses = Counter(await asyncio.gather(*flood))
        print(f"60 passwords at once: {dict(statuses)}")
        assert statuses[429] > 0
        assert not [status for status in statuses if status >= 500]
        assert (await http.get("http://localhost:8000/ready")).status_code == 200
        again = await rp.refresh(refreshed.refresh_token)
        assert again.status == 200


async def _wrong_password(http: httpx.AsyncClient, tenant: object) -> int:
    async with http:
        rp = RelyingParty(
            http,
            tenant.issuer,  # type: ignore[attr-defined]
            tenant.clients["web"],  # type: ignore[attr-defined]
            tenant.api_audience,  # type: ignore[attr-defined]
            tenant.users[0],  # type: ignore[attr-defined]
        )
        await rp.authorize()
        await rp.browser.submit({"email": rp.user.email})
        page = await rp.browser.submit({"password": "a wrong one"})
        return page.status_code


async def test_f30_a_loud_tenant_costs_its_neighbour_no_answer_and_little_time(ground: Ground) -> None:
    """The noise comes from a process of its own, so that what is measured is the server."""
    acme, globex = ground.demo.tenants[:2]
    async with serving(ground.data) as server, server.client() as quiet:
        token = await machine_token(quiet, globex.issuer, globex.clients["m2m"], globex.management_audience)
        before = await _waits(quiet, globex.issuer, token)
        made = FORKS.Value("i", 0)
        noise = FORKS.Process(target=make_noise, args=(server.port, acme.id, LOUD, made))
        noise.start()
        try:
            await asyncio.sleep(2)
            began, sent = monotonic(), made.value
            during = await _waits(quiet, globex.issuer, token)
            rate = (made.value - sent) / (monotonic() - began)
        finally:
            noise.kill()
            noise.join()
        print(
            f"noise {rate:.0f}/s; the neighbour's p50 {before[0]:.1f} -> {during[0]:.1f} ms,"
            f" p99 {before[1]:.1f} -> {during[1]:.1f} ms"
        )
        assert rate > LOUD / 2, "there was no noise"
        assert during[1] < 2 * before[1] + 10, "K6"


async def _waits(http: httpx.AsyncClient, issuer: str, token: str) -> tuple[float, float]:
    """p50 and p99 in milliseconds; every answer is a success."""
    waits = []
    for _ in range(500):
        began = monotonic()
        answer = await http.get(f"{issuer}api/v2/roles", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        waits.append((monotonic() - began) * 1000)
        await asyncio.sleep(0.01)
    waits.sort()
    return waits[250], waits[495]
