"""F11: a tenant whose queries take long waits for itself alone."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.faults.test_files import caller_of, health, others_are_well, refused
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

COUNT = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < :count) SELECT count(*) FROM n"
)


def count_slowly(connection: Connection, count: int) -> int:
    return int(connection.execute(text(COUNT), {"count": count}).scalar_one())


async def test_f11_who_waits_behind_a_long_query_is_told_and_the_neighbour_notices_nothing(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    async with serving(settings_for(data_dir, write_deadline_seconds=0.5), golden[1]) as installation:
        caller, url = await caller_of(installation, "acme")
        assert (await caller.call("GET", url)).status_code == 200
        acme = await installation.running.platform.directory.by_id("acme")
        assert acme is not None
        long = asyncio.create_task(acme.database.read(count_slowly, 15_000_000))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(caller.call("GET", url))
        await others_are_well(installation, 0.5)
        refused(await waiting)
        assert not long.done(), "the query outlasts the deadline, or nothing was shown"
        assert await health(installation) == "degraded"
        assert await long == 15_000_000

        async def again() -> bool:
            return bool((await caller.call("GET", url)).status_code == 200)

        await until(again)
