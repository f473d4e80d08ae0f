"""F35 over three machines: the registry on PostgreSQL, tenants behind a libSQL server and PostgreSQL.

Lines are cut, engines are killed, machines die and stand still, while people sign in and operators move, back up, put
back and migrate tenants; K1 to K7 from the history. `FAULTS_SEED`, `FAULTS_SECONDS` and `FAULTS_TENANTS` as for the
world of one data folder.
"""

import asyncio
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

import pytest

from entrypoints.demo_content import DemoTenant
from provisioning.platform import Platform
from tests.engines.postgres import FAST, Postgres
from tests.engines.sqld import Sqld
from tests.faults.checks import catalogue_of, query
from tests.faults.everything.actors import ACTORS, World
from tests.faults.everything.history import OF_THE_PLANE, History, Home
from tests.faults.everything.movers import Done, Office
from tests.faults.everything.network import Network
from tests.faults.everything.several_nodes import Land, make_land, snapshot
from tests.faults.everything.test_everything import SECONDS, SEED, refreshes_go_on, say
from tests.nodes.clusters import make_cluster
from tests.provisioning.installations import sql
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.libsql, pytest.mark.postgresql]

TENANTS = int(os.environ.get("FAULTS_TENANTS", "12"))
CALM_SECONDS = 120.0
SEEN_WITHIN = 1.0
"""Seconds within which the other machines know of a suspension."""

AFTER = 10.0
"""A database's circuit stays open for some seconds after its server is back; a killed machine's lock on it is taken
away after five."""

PATIENCE = 15.0
"""A change of the catalogue goes over the network to every tenant, by three processes that share two cores."""

UNFINISHED = (
    "SELECT tenant_id, kind, state, error FROM operations WHERE state IN ('running', 'failed')"
    " OR (state = 'pending' AND kind != 'delete')"
)
BEHIND = "SELECT id FROM tenants WHERE state = 'active' AND schema_version != '{}'"


@pytest.fixture
def tenants_postgres() -> Iterator[Postgres]:
    cluster = Postgres(settings=(*FAST, "-c", "max_connections=500")).start()
    yield cluster
    cluster.remove()


@pytest.fixture
async def land(
    tmp_path: Path, own_postgres: Postgres, tenants_postgres: Postgres, own_sqld: Sqld
) -> AsyncIterator[Land]:
    cluster = await make_cluster(tmp_path, own_postgres, own_sqld)
    land = await make_land(tmp_path, cluster, tenants_postgres)
    yield land
    land.close()


async def test_f35_over_three_machines_every_promise_is_kept(land: Land) -> None:
    print(f"seed {SEED}, {SECONDS:.0f} s, {TENANTS} tenants on three machines")
    demo = land.cluster.demo.tenants
    *tenants, keeper = [*demo, *await land.filled([f"tenant{n}" for n in range(TENANTS + 1 - len(demo))])]
    await land.made_older([tenant.id for tenant in tenants[::2]])
    history = History(
        words={tenant.id: f"word{secrets.token_hex(8)}" for tenant in tenants}, after=AFTER, patience=PATIENCE
    )
    history.homes += await _homes(land)
    rng, ended, done = random.Random(SEED), asyncio.Event(), Done()
    async with land.working() as workers:
        world = World(land.cluster.demo, tenants, workers, history, rng, ended)
        office = Office(world, done, keeper)
        network = Network(land, workers, history, random.Random(SEED + 1))
        actors = [asyncio.create_task(act(world)) for act in ACTORS]
        actors += [asyncio.create_task(act()) for act in (office.mover, office.keep, office.migrator)]
        breaking = asyncio.create_task(network.run(ended))
        await asyncio.wait([breaking, *actors], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ended.set()
        await asyncio.gather(breaking, *actors)
        say(history)
        print(f"{done}")
        await _calms_down(land, office)
        await refreshes_go_on(world)
    async with land.observed() as platform:
        await _check(land, platform, tenants, history)
    assert done.wrong == []


async def _homes(land: Land) -> list[Home]:
    rows = land.cluster.registry("SELECT id, backend FROM tenants WHERE NOT is_control_plane")
    plane = land.cluster.registry("SELECT backend FROM tenants WHERE is_control_plane")
    return [Home(tenant, engine, monotonic()) for tenant, engine in (*rows, (OF_THE_PLANE, plane[0][0]))]


async def _calms_down(land: Land, office: Office) -> None:
    """K3: operations end, tenants have this release's schema. A migration that stopped waits for its operator."""
    newest = land.cluster.registry("SELECT schema_version FROM tenants WHERE is_control_plane")[0][0]
    left: list[list[str]] = []

    async def settled() -> bool:
        left[:] = [*land.cluster.registry(UNFINISHED), *land.cluster.registry(BEHIND.format(newest))]
        if left:
            await office.migrate()
        return not left

    try:
        await until(settled, CALM_SECONDS)
    except TimeoutError:
        raise AssertionError(left) from None


async def _check(land: Land, platform: Platform, tenants: list[DemoTenant], history: History) -> None:
    folder = land.cluster.folder
    files = {tenant_id: folder / f"{tenant_id}.seen.db" for tenant_id in (*history.words, "control_plane")}
    for tenant_id, file in files.items():
        await snapshot(platform, tenant_id, file)
        assert query(file, "PRAGMA integrity_check") == [("ok",)]
        assert query(file, "PRAGMA foreign_key_check") == []
    for tenant_id, made in history.made.items():  # K1
        names = [row[0] for row in query(files[tenant_id], "SELECT name FROM roles WHERE NOT is_system")]
        assert not {name for name in made if names.count(name) != 1}, tenant_id
        assert not {name for name in history.perhaps.get(tenant_id, ()) if names.count(name) > 1}, tenant_id
    assert not history.strays  # K2
    _holds_no_foreign_word(land, files, history)
    wanted = catalogue_of(files["control_plane"], wanted=True)
    assert [each for each in history.words if catalogue_of(files[each], wanted=False) != wanted] == []  # K3
    for statuses in history.redemptions:  # K4
        assert statuses.count(200) <= 1, statuses
    assert history.issued_while_suspended(SEEN_WITHIN) == []  # K5
    unexplained = history.unexplained()  # K6
    assert unexplained == [], "\n".join(map(history.told, unexplained))
    troubles = await platform.registry.read(
        sql("SELECT tenant_id, error FROM operations WHERE state = 'failed'")
    )
    assert troubles == []


def _holds_no_foreign_word(land: Land, files: dict[str, Path], history: History) -> None:
    contents = {tenant_id: file.read_bytes() for tenant_id, file in files.items()}
    registry = land.registry_postgres.run("pg_dump", database=land.cluster.database)
    contents["registry"] = registry.encode()
    for owner, content in contents.items():
        for tenant_id, word in history.words.items():
            assert owner == tenant_id or word.encode() not in content, f"{owner} holds a word of {tenant_id}"
