"""A change of the catalogue reaches thousands of tenants: how long, at what cost; an active one has it at once."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import httpx
import pytest

from entrypoints.network import Api
from tests.faults.checks import query
from tests.faults.conftest import Ground
from tests.faults.servers import Server, serving
from tests.migrations.fleets import add_tenants, many

pytestmark = [pytest.mark.anyio, pytest.mark.long]

FOLLOWERS = int(os.environ.get("FAULTS_FOLLOWERS", "10000"))
CHANGES = 3
LIMIT_SECONDS = 300
TICKS = os.sysconf("SC_CLK_TCK")


async def test_a_change_reaches_ten_thousand_tenants_and_an_active_one_at_its_next_request(
    ground: Ground,
) -> None:
    made = await add_tenants(ground.data, FOLLOWERS, older=False)
    _nobody_has_followed_yet(ground.data)
    print(f"{FOLLOWERS} tenants made in {made:.0f} s")
    async with serving(ground.data) as server, server.client() as http:
        operator = await ground.operator(http)
        assert operator.token is not None
        platform = Api(http, ground.plane, operator.token)
        await _until_all_hold(ground.data)
        for number in range(CHANGES):
            cpu, began = cpu_seconds(server), monotonic()
            await platform.post("/roles", {"name": f"fan-out {number}"})
            told = monotonic() - began
            await _holds_it(http, operator.token, number)
            seen = monotonic() - began - told
            seconds = await _until_all_hold(ground.data)
            print(
                f"the operator's request {told * 1000:.0f} ms, an active tenant's next {seen * 1000:.0f} ms,"
                f" all {FOLLOWERS} after {seconds + told + seen:.1f} s, {cpu_seconds(server) - cpu:.1f} CPU s,"
                f" {resident_mib(server)} MiB resident"
            )
        closed = f"{many(FOLLOWERS // 2)}"
        roles = await Api(http, f"http://{closed}.localhost:8000/api/v2", operator.token).get("/roles")
        assert {role["name"] for role in roles} >= {f"fan-out {number}" for number in range(CHANGES)}


def _nobody_has_followed_yet(data: Path) -> None:
    with closing(sqlite3.connect(data / "registry.db")) as registry, registry:
        registry.execute(
            "INSERT INTO sync_states (tenant_id, attempts, next_attempt_at, conflicts, dangling)"
            " SELECT id, 0, 0, '[]', '[]' FROM tenants WHERE id LIKE 'many-%'"
        )


async def _holds_it(http: httpx.AsyncClient, token: str, number: int) -> None:
    roles = await Api(http, "http://acme.localhost:8000/api/v2", token).get("/roles", per_page="100")
    assert f"fan-out {number}" in {role["name"] for role in roles}


async def _until_all_hold(data: Path) -> float:
    began = monotonic()
    async with asyncio.timeout(LIMIT_SECONDS):
        while _lagging(data):
            await asyncio.sleep(0.1)
    return monotonic() - began


def _lagging(data: Path) -> int:
    """In the registry's ledger, against tenant one's own version."""
    one = query(data / "registry.db", "SELECT location FROM tenants WHERE is_control_plane")[0][0]
    version = query(data / str(one), "SELECT config_version FROM tenant")[0][0]
    rows = query(
        data / "registry.db",
        "SELECT count(*) FROM tenants LEFT JOIN sync_states ON tenant_id = id"
        " WHERE state = 'active' AND NOT is_control_plane AND applied_version IS NOT ?",
        version,
    )
    return int(rows[0][0])


def cpu_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(server: Server) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
