"""F26: one bad tenant among many, a command that is killed, a database that is locked; nobody who signs in meanwhile
notices. A few dozen tenants in every run, thousands by `make faults` (FLEET_TENANTS)."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

import migrations
from controlplane.registry.migrations import Candidate
from controlplane.registry.schema_states import versions_of_serving
from core.failpoints import EXIT_STATUS
from entrypoints.demo_content import Demo
from provisioning.migrating.waves import plan
from tests.conftest import serving as serving_here
from tests.conftest import settings_for
from tests.engines.sqld import Sqld
from tests.faults.servers import serving
from tests.migrations.behind import BEFORE, demo_of_an_earlier_release, file_of
from tests.migrations.fleets import InProcess, People, add_tenants, many
from tests.migrations.next_release import NEXT, next_release
from tests.migrations.older import mend, poison, version_in
from tests.serving import command

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HEAD = migrations.head("tenant")
STOPPED = 3
DEMO = ("acme", "globex", "initech")


async def migrate(
    data: Path, *arguments: str, failing: str = "", deadline: float = 0.5
) -> tuple[int, dict[str, Any], str]:
    """`keystead migrate` to its end: status, the last line of JSON, and what it complained of."""
    environ = {"KEYSTEAD_FAILPOINTS": failing, "KEYSTEAD_WRITE_DEADLINE_SECONDS": str(deadline)}
    ended = await asyncio.to_thread(
        command, "migrate", "--json", "--data", str(data), *arguments, environ=environ, timeout=1800
    )
    lines = ended.stdout.splitlines()
    return ended.returncode, msgspec.json.decode(lines[-1]) if lines else {}, ended.stderr


def order(count: int) -> list[str]:
    ids = [*DEMO, *(many(number) for number in range(count))]
    return [id for wave in plan([Candidate(id=id, labels=()) for id in ids]) for id in wave]


def versions(data: Path) -> dict[str, int]:
    with closing(sqlite3.connect(data / "registry.db")) as registry:
        rows = registry.execute("SELECT id, location, schema_version FROM tenants").fetchall()
    found: dict[str, int] = {}
    for id, location, registered in rows:
        version = version_in(data / location)
        assert version == registered, f"the registry says {registered} of {id}, which is at {version}"
        found[version] = found.get(version, 0) + 1
    return found


@pytest.mark.long
async def test_one_is_bad_one_is_locked_and_the_command_is_killed(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    data = demo_of_an_earlier_release(golden, tmp_path / "data")
    await add_tenants(data, 37)
    ids = order(37)
    bad, locked = ids[-5], ids[-3]
    poison(file_of(data, bad))
    async with serving(data, MIGRATE="command") as server, People(server, golden[1]) as people:
        with closing(sqlite3.connect(file_of(data, locked), isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            status, _, _ = await migrate(data, failing="migrate.commit.after=exit@9")
            assert status == EXIT_STATUS
            going_on = asyncio.create_task(migrate(data))  # and the server goes on, too
            await asyncio.sleep(2)
            holder.execute("ROLLBACK")
        await going_on
        status, fleet, complaint = await migrate(data, "--status")
        assert status == STOPPED, complaint
        assert fleet["migration"]["reason"] == "One tenant could not be migrated."
        assert [item["tenant_id"] for item in fleet["failed"]] == [bad]
        assert versions(data) == {HEAD: 40, BEFORE: 1}

        status, _, complaint = await migrate(data)
        assert (status, "--retry" in complaint) == (1, True), "a person decides"
        mend(file_of(data, bad))
        status, fleet, _ = await migrate(data, "--retry")
        assert (status, fleet["migration"]["state"]) == (0, "succeeded")
        assert versions(data) == {HEAD: 41}
        before = sorted(path.name for path in (data / "snapshots").iterdir())
        assert (await migrate(data))[0] == 0
        assert sorted(path.name for path in (data / "snapshots").iterdir()) == before, (
            "nothing was left to do"
        )
    assert people.failures == []
    assert people.logins > 0


@pytest.mark.long
async def test_a_fleet_of_thousands_with_one_that_is_bad_in_the_first_wave(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    count = int(os.environ.get("FLEET_TENANTS", "5000"))
    data = demo_of_an_earlier_release(golden, tmp_path / "data")
    print(f"\n{count} tenants were made in {await add_tenants(data, count):.1f} s")
    bad = order(count)[0]
    poison(file_of(data, bad))
    async with serving(data, MIGRATE="command") as server, People(server, golden[1]) as people:
        started = monotonic()
        status, fleet, _ = await migrate(data, deadline=5)
        print(f"stopped after {monotonic() - started:.1f} s: {fleet['migration']['reason']}")
        assert (status, fleet["migration"]["wave"]) == (STOPPED, 1)
        assert fleet["versions"][BEFORE] >= count, "tenant one, and whoever was asked for before the failure"
        assert [item["tenant_id"] for item in fleet["failed"]] == [bad]
        mend(file_of(data, bad))
        started, logins = monotonic(), people.logins
        status, fleet, complaint = await migrate(data, "--retry", deadline=5)
        took = monotonic() - started
        assert status == 0, complaint
        met = people.logins - logins
        print(
            f"{count + 3} tenants in {took:.1f} s, {(count + 3) / took:.0f} a second; {met} logins meanwhile"
        )
    assert versions(data) == {HEAD: count + 4}
    size = sum(path.stat().st_size for path in (data / "snapshots").iterdir())
    print(f"at the end {os.getloadavg()[0]:.0f} processes wanted a processor")
    print(
        f"snapshots: {size / 2**20:.0f} MiB; the slowest of {people.logins} logins took {people.slowest:.2f} s"
    )
    assert people.failures == []


@pytest.mark.long
@pytest.mark.libsql
async def test_a_thousand_on_a_libsql_server_go_to_the_next_release(
    golden: tuple[Path, Demo], tmp_path: Path, own_sqld: Sqld
) -> None:
    count = int(os.environ.get("FLEET_REMOTE", "1000"))
    data = tmp_path / "data"
    shutil.copytree(golden[0], data, ignore=shutil.ignore_patterns("generations", "workers"))
    servers = tmp_path / "backends.toml"
    servers.write_text(
        f'[libsql]\nurl = "{own_sqld.url}"\nadmin_url = "{own_sqld.admin_url}"\nadmin_key = "{own_sqld.admin_key}"\n'
    )
    chosen = {"backends_file": servers, "migrate": "command"}
    took = await add_tenants(data, count, backend="libsql", older=False, backends_file=servers)
    print(f"\n{count} namespaces were made in {took:.1f} s")
    with next_release(tmp_path / "next"):
        async with serving_here(settings_for(data, **chosen), golden[1]) as installation:
            migrations_of_fleet = installation.running.platform.migrations
            run_id = await migrations_of_fleet.start()
            assert run_id is not None
            started = monotonic()
            async with People(InProcess(installation.app), golden[1]) as people:
                run = await migrations_of_fleet.work(run_id)
            took = monotonic() - started
            assert (run.state, run.reason) == ("succeeded", None)
            versions = await installation.running.platform.registry.read(versions_of_serving)
            assert versions == {NEXT: count + 4}
    print(
        f"{count + 3} tenants in {took:.1f} s, {(count + 3) / took:.0f} a second; {people.logins} logins meanwhile"
    )
    assert people.failures == []
