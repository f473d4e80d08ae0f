"""The fleet is brought to a new schema in waves: what is bad stops the run and is left as it was, and nobody else
notices."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

import migrations
from controlplane.registry.migrations import Candidate, MigrationRun, progress
from controlplane.registry.schema_states import list_states, state_of
from controlplane.registry.tenants import get_tenant
from core import failpoints
from core.errors import Conflict
from core.settings import Settings
from provisioning.migrating.waves import plan
from provisioning.platform import Platform
from tenant_runtime.configuration import configuration
from tests.matrices import in_ci
from tests.migrations.older import make_older, mend, poison, version_in
from tests.provisioning.installations import create, ended, in_child, opened, sql, start_child

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HEAD, BEFORE = migrations.head("tenant"), migrations.previous("tenant")
NAMES = tuple(f"t{number}" for number in range(6))


async def older_fleet(
    platform: Platform, names: Sequence[str] = NAMES, version: str = BEFORE
) -> dict[str, Path]:
    """Tenants that the release before this one made."""
    files: dict[str, Path] = {}
    for name in names:
        await create(platform, name)
        tenant = await platform.registry.read(get_tenant, name)
        await platform.databases.forget(platform.parts.ref(tenant))
        files[name] = platform.settings.data_dir / tenant.location
        make_older(files[name], version)
    await platform.registry.write(
        sql("UPDATE tenants SET schema_version = :version WHERE NOT is_control_plane", version=version)
    )
    return files


def order_of(names: Sequence[str] = NAMES) -> list[str]:
    return [id for wave in plan([Candidate(id=name, labels=()) for name in names]) for id in wave]


async def ran(platform: Platform, watch: list[MigrationRun] | None = None) -> MigrationRun:
    run_id = await platform.migrations.start()
    assert run_id is not None
    return await platform.migrations.work(run_id, (watch if watch is not None else []).append)


async def versions(platform: Platform, names: Sequence[str] = NAMES) -> list[str | None]:
    return [(await platform.registry.read(get_tenant, name)).schema_version for name in names]


@pytest.mark.parametrize(
    ("tenants", "waves"),
    [(0, []), (1, [1]), (5, [1, 4]), (100, [1, 9, 90]), (1000, [1, 9, 90, 900]), (5000, [1, 49, 450, 4500])],
)
def test_waves_are_one_tenant_then_a_hundredth_then_a_tenth_then_all(tenants: int, waves: list[int]) -> None:
    candidates = [Candidate(id=f"t{number}", labels=()) for number in range(tenants)]
    planned = plan(candidates)
    assert [len(wave) for wave in planned] == waves
    assert sorted(id for wave in planned for id in wave) == sorted(item.id for item in candidates)


def test_tenants_with_the_label_canary_come_first() -> None:
    candidates = [Candidate(id=f"t{number}", labels=()) for number in range(500)]
    candidates[321] = Candidate(id="t321", labels=("canary", "eu"))
    assert plan(candidates)[0] == ["t321"]


async def test_everybody_is_brought_up_and_a_second_run_finds_nothing(platform: Platform) -> None:
    files = await older_fleet(platform)
    seen: list[MigrationRun] = []
    run = await ran(platform, seen)
    assert (run.state, run.waves, run.reason) == ("succeeded", (1, 5), None)
    assert [item.wave for item in seen] == sorted(item.wave for item in seen)
    assert await versions(platform) == [HEAD] * 6
    assert {version_in(path) for path in files.values()} == {HEAD}
    assert (await platform.registry.read(progress, run))["done"] == 6
    assert await platform.migrations.start() is None
    tenant = await platform.directory.by_id("t1")
    assert tenant is not None
    assert (await configuration(tenant)).clients


async def test_tenants_two_releases_behind_keep_their_rows_and_get_what_new_ones_begin_with(
    platform: Platform,
) -> None:
    files = await older_fleet(platform, NAMES[:2], "0002")
    assert (await ran(platform)).state == "succeeded"
    for path in files.values():
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM connections WHERE name = 'email'").fetchone() == (
                1,
            )
            assert connection.execute("SELECT count(*) FROM clients").fetchone() > (0,)
            assert connection.execute("SELECT count(*) FROM deliveries").fetchone() == (0,)


async def test_a_failure_in_the_first_wave_stops_the_run_with_one_tenant_touched_and_that_one_as_before(
    platform: Platform,
) -> None:
    files = await older_fleet(platform)
    first, *others = order_of()
    poison(files[first])
    run = await ran(platform)
    assert (run.state, run.wave) == ("stopped", 0)
    assert run.reason == "One tenant of wave 1 failed."
    assert {version_in(path) for path in files.values()} == {BEFORE}
    state = await platform.registry.read(state_of, first)
    assert (state.state, state.schema_version) == ("failed", BEFORE)
    assert state.error is not None
    assert platform.migrations.failing == 1
    failed = await platform.registry.read(list_states, HEAD, "failed")
    assert [item.tenant_id for item in failed] == [first]
    tenant = await platform.directory.by_id(first)
    assert tenant is not None
    assert (await configuration(tenant)).clients, "it serves as before"

    mend(files[first])
    await platform.migrations.resume(run.id, retry=True)
    run = await platform.migrations.work(run.id)
    assert run.state == "succeeded"
    assert await versions(platform, (first, *others)) == [HEAD] * 6
    assert platform.migrations.failing == 0


async def test_a_run_that_goes_on_without_its_failures_leaves_them_at_the_old_schema_and_names_them(
    platform: Platform,
) -> None:
    files = await older_fleet(platform)
    first, *others = order_of()
    poison(files[first])
    run = await ran(platform)
    await platform.migrations.resume(run.id, retry=False)
    run = await platform.migrations.work(run.id)
    assert run.state == "succeeded"
    assert await versions(platform, (first,)) == [BEFORE]
    assert await versions(platform, others) == [HEAD] * 5
    assert (await platform.registry.read(progress, run))["left"] == 1
    assert platform.migrations.failing == 1


async def test_in_the_last_wave_a_bad_tenant_stops_nobody_and_is_retried_alone(platform: Platform) -> None:
    files = await older_fleet(platform)
    bad = order_of()[-1]
    poison(files[bad])
    run = await ran(platform)
    assert (run.state, run.reason) == ("stopped", "One tenant could not be migrated.")
    assert await versions(platform, [name for name in NAMES if name != bad]) == [HEAD] * 5
    assert version_in(files[bad]) == BEFORE
    mend(files[bad])
    await platform.migrations.resume(run.id, retry=True)
    assert (await platform.migrations.work(run.id)).state == "succeeded"
    assert version_in(files[bad]) == HEAD


async def test_a_tenant_that_is_held_back_stays_until_it_is_released(platform: Platform) -> None:
    files = await older_fleet(platform)
    await platform.migrations.hold("t3", "asked for by the customer")
    assert (await platform.migrations.planned())["tenants"] == 5
    run = await ran(platform)
    assert run.state == "succeeded"
    assert version_in(files["t3"]) == BEFORE
    assert (await platform.registry.read(state_of, "t3")).hold_reason == "asked for by the customer"
    await platform.lifecycle.rename("t3", "Three")
    await platform.lifecycle.converge("t3")
    assert (await versions(platform, ("t3",)), version_in(files["t3"])) == ([BEFORE], BEFORE)
    await platform.migrations.release("t3")
    assert (await ran(platform)).state == "succeeded"
    assert version_in(files["t3"]) == HEAD


async def test_a_tenant_that_is_held_back_in_the_middle_of_a_run_does_not_keep_its_wave_waiting(
    platform: Platform,
) -> None:
    files = await older_fleet(platform)
    first, *others = order_of()
    poison(files[first])
    run = await ran(platform)
    await platform.migrations.hold(others[0], "a demonstration today")
    await platform.migrations.hold(first, "being looked at")
    await platform.migrations.resume(run.id, retry=True)
    assert (await platform.migrations.work(run.id)).state == "succeeded"
    assert await versions(platform, (first, others[0])) == [BEFORE, BEFORE]
    assert await versions(platform, others[1:]) == [HEAD] * 4


async def test_tenant_one_cannot_be_held_back(platform: Platform) -> None:
    with pytest.raises(Conflict):
        await platform.migrations.hold("control_plane", "no")


async def test_a_database_that_is_locked_for_a_while_is_waited_for(settings: Settings) -> None:
    impatient = Settings(
        data_dir=settings.data_dir,
        password_memory_kib=64,
        password_iterations=1,
        spare_keys=0,
        write_deadline_seconds=0.2,
        migrate="command",
    )
    async with opened(impatient) as platform:
        files = await older_fleet(platform, NAMES[:2])
        with closing(sqlite3.connect(files["t1"], isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            run_id = await platform.migrations.start()
            assert run_id is not None

            def release_when_it_was_met(run: MigrationRun) -> None:
                rows = sqlite3.connect(settings.data_dir / "registry.db")
                with closing(rows):
                    met = rows.execute("SELECT error FROM schema_states WHERE tenant_id = 't1'").fetchone()[0]
                if met is not None and connection.in_transaction:
                    connection.execute("ROLLBACK")

            run = await platform.migrations.work(run_id, release_when_it_was_met)
        assert run.state == "succeeded"
        assert version_in(files["t1"]) == HEAD


async def test_what_stands_after_its_wave_but_cannot_be_opened_is_put_back_from_its_snapshot(
    platform: Platform,
) -> None:
    files = await older_fleet(platform)
    first = order_of()[0]
    failpoints.configure("migrate.look=raise@1")
    run = await ran(platform)
    assert (run.state, run.wave) == ("stopped", 0)
    tenant = await platform.registry.read(get_tenant, first)
    assert (tenant.generation, tenant.schema_version) == (2, BEFORE)
    assert version_in(platform.settings.data_dir / tenant.location) == BEFORE
    assert (await platform.registry.read(state_of, first)).hold_reason == "rolled back"
    found = await platform.directory.by_id(first)
    assert found is not None
    assert found.incarnation == tenant.incarnation != ""
    assert (await configuration(found)).clients
    assert {version_in(path) for name, path in files.items() if name != first} == {BEFORE}


async def test_one_tenant_goes_back_to_its_snapshot_and_is_not_migrated_again_by_itself(
    platform: Platform,
) -> None:
    await older_fleet(platform, NAMES[:3])
    before = await platform.directory.by_id("t1")
    assert before is not None
    clients = (await configuration(before)).clients.keys()
    assert (await ran(platform)).state == "succeeded"
    await platform.migrations.roll_back("t1")
    tenant = await platform.registry.read(get_tenant, "t1")
    assert (tenant.generation, tenant.schema_version) == (2, BEFORE)
    after = await platform.directory.by_id("t1")
    assert after is not None
    assert after.incarnation != before.incarnation
    assert (await configuration(after)).clients.keys() == clients
    assert await platform.schema_gate.refusal(after) is None
    assert await platform.migrations.start() is None
    assert await versions(platform, ("t0", "t2")) == [HEAD] * 2
    await create(platform, "fresh")
    with pytest.raises(Conflict, match="no snapshot"):
        await platform.migrations.roll_back("fresh")


STEPS = (
    "migrate.claimed",
    "backup.draft.after",
    "migrate.snapshot.after",
    "migrate.commit.before",
    "migrate.commit.after",
    "migrate.record.before",
    "migrate.look",
    "restore.prepare.before",
    "restore.settle.before",
    "replace.put.after",
    "restore.flip.before",
    "restore.flip.after",
)
IN_CI = ("backup.draft.after", "migrate.commit.after", "migrate.record.before", "restore.flip.before")


@pytest.mark.faults
@pytest.mark.parametrize("step", in_ci(STEPS, IN_CI))
def test_a_run_that_is_killed_anywhere_is_gone_on_with(settings: Settings, step: str) -> None:
    """The rollback of one tenant is part of it: its operation is finished by whoever comes next."""

    async def prepare() -> None:
        async with opened(settings) as platform:
            await older_fleet(platform)

    async def life() -> None:
        from provisioning.operations import run_due

        async with opened(settings) as platform:
            await run_due(platform.parts)
            run = await platform.migrations.latest()
            if run is None or run.state != "succeeded":
                await ran(platform)
            state = await platform.registry.read(state_of, "t2")
            tenant = await platform.registry.read(get_tenant, "t2")
            if tenant.generation == 1 and state.hold_reason is None:
                await platform.migrations.roll_back("t2")

    async def look() -> None:
        async with opened(settings) as platform:
            run = await platform.migrations.latest()
            assert run is not None
            assert run.state == "succeeded"
            found = [name for name in NAMES if name != "t2"]
            assert await versions(platform, found) == [HEAD] * 5
            tenant = await platform.registry.read(get_tenant, "t2")
            assert (tenant.generation, tenant.schema_version) == (2, BEFORE)
            assert version_in(settings.data_dir / tenant.location) == BEFORE
            for name in NAMES:
                opened_tenant = await platform.directory.by_id(name)
                assert opened_tenant is not None
                assert (await configuration(opened_tenant)).clients

    assert in_child(prepare) == 0
    assert in_child(life, f"{step}=exit@1") == failpoints.EXIT_STATUS
    assert in_child(life) == 0
    assert in_child(look) == 0
    assert not list((settings.data_dir / "drafts").rglob("*.db"))


@pytest.mark.faults
def test_several_processes_share_one_run_and_each_tenant_is_migrated_once(settings: Settings) -> None:
    async def prepare() -> None:
        async with opened(settings) as platform:
            await older_fleet(platform)
            assert await platform.migrations.start() is not None

    async def life() -> None:
        async with opened(settings) as platform:
            run = await platform.migrations.latest()
            assert run is not None
            assert (await platform.migrations.work(run.id)).state == "succeeded"

    assert in_child(prepare) == 0
    children = [start_child(life) for _ in range(3)]
    assert [ended(child) for child in children] == [0, 0, 0]
    snapshots = sorted(path.name.split(".")[0] for path in (settings.data_dir / "snapshots").iterdir())
    assert snapshots == sorted(NAMES)


async def test_a_release_serves_what_the_next_one_has_migrated_and_refuses_what_lies_further_ahead(
    platform: Platform,
) -> None:
    files = await older_fleet(platform, NAMES[:2])
    for name, ahead in (("t0", 1), ("t1", 2)):
        await platform.migrations.hold(name, "n")
        with closing(sqlite3.connect(files[name])) as connection:
            later = f"{int(HEAD) + ahead:04}"
            connection.execute("UPDATE alembic_version SET version_num = ?", (later,))
            connection.commit()
    await platform.lifecycle.converge("t0")
    assert await versions(platform, ("t0",)) == [f"{int(HEAD) + 1:04}"]
    found = await platform.directory.by_id("t0")
    assert found is not None
    assert await platform.schema_gate.refusal(found) is None
    await platform.migrations.release("t1")
    run = await ran(platform)
    assert run.state == "stopped"
    state = await platform.registry.read(state_of, "t1")
    assert (state.state, state.schema_version) == ("failed", BEFORE)
    assert "knows none after" in (state.error or "")
