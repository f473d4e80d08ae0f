"""Lagging tenants catch up: at a request, in the background, after a kill, and never backwards."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from controlplane.registry.ledger import count_lagging, sync_record
from controlplane.registry.tenants import get_tenant
from core import failpoints
from core.failpoints import EXIT_STATUS
from core.settings import Settings
from provisioning.backends.sqlite import SqliteBackend
from provisioning.platform import Platform
from provisioning.survey import UNKNOWN, survey
from sync.apply import Outcome, apply
from sync.catalogue import load_catalogue, load_wanted
from sync.fleet import registered_follower
from sync.gate import Freshness
from tests.provisioning.installations import create, in_child, opened, settle, sql
from tests.sync.catalogues import add_role, on_tenant_one, roles_of, rows, tenant_of
from tests.waiting import until

pytestmark = pytest.mark.anyio


class Disks(SqliteBackend):
    name = "disks"


RENAME = "UPDATE roles SET name = :name WHERE id = 'rol_x'"


async def test_a_request_brings_its_tenant_up_to_date_by_itself(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await add_role(platform, "rol_x", "X")
    answers = await asyncio.gather(*(platform.gate.ensure(tenant) for _ in range(20)))
    assert set(answers) == {Freshness.FRESH}
    assert set(await roles_of(tenant)) == {"rol_x"}
    await settle(platform)
    record = await platform.registry.read(sync_record, "acme")
    one = await platform.directory.control_plane()
    assert record is not None
    assert not record.lags(await one.database.read(load_wanted))


async def test_a_tenant_that_cannot_be_brought_up_in_time_is_stale(settings: Settings) -> None:
    async with opened(replace(settings, patience_seconds=0.25)) as platform:
        await create(platform, "acme")
        tenant = await tenant_of(platform)

        async def is_fresh() -> bool:
            return await platform.gate.ensure(tenant) is Freshness.FRESH

        await until(is_fresh)
        await add_role(platform, "rol_x", "X")
        failpoints.configure("sync.apply.before=sleep:2")
        assert not await is_fresh()
        assert await roles_of(tenant) == {}, "it was waited for"
        failpoints.configure("")
        await until(is_fresh)
        assert set(await roles_of(tenant)) == {"rol_x"}


async def test_a_tenant_that_refuses_is_stale_and_not_tried_at_every_request(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    await add_role(platform, "rol_x", "X")
    failpoints.configure("sync.apply.before=raise@1")
    assert await platform.gate.ensure(tenant) is Freshness.STALE
    assert await platform.gate.ensure(tenant) is Freshness.STALE
    assert await roles_of(tenant) == {}
    await platform.worker.catch_up()
    assert set(await roles_of(tenant)) == {"rol_x"}


async def test_with_tenant_one_away_a_tenant_serves_what_it_holds(platform: Platform) -> None:
    await create(platform, "acme")
    tenant = await tenant_of(platform)
    one = await platform.directory.control_plane()
    path = one.database.ref.path
    path.rename(path.with_name("away"))
    await asyncio.sleep(1.1)  # until what is in memory is checked against the file
    assert await platform.gate.ensure(tenant) is Freshness.FRESH
    path.with_name("away").rename(path)


async def test_the_worker_follows_a_write_without_being_asked(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    platform.start()
    await add_role(platform, "rol_x", "X")
    platform.worker.wake()
    async with asyncio.timeout(60):
        for name in ("acme", "globex"):
            while set(await roles_of(await tenant_of(platform, name))) != {"rol_x"}:
                await asyncio.sleep(0.02)


async def test_a_tenant_whose_back_end_this_process_was_not_given_does_not_hold_up_the_others(
    settings: Settings,
) -> None:
    async with opened(settings, backends={"disks": Disks(settings)}) as platform:
        await create(platform, "acme", backend="disks")
        await create(platform, "globex")
    async with opened(settings) as platform:
        await add_role(platform, "rol_x", "X")
        assert await platform.lifecycle.wait_synced() == 1
        assert set(await roles_of(await tenant_of(platform, "globex"))) == {"rol_x"}
        record = await platform.registry.read(sync_record, "acme")
        found = {each.name: each for each in await survey(platform.parts)}
    assert record is not None
    assert record.last_error is not None
    assert record.last_error.startswith("DatabaseElsewhere")
    assert (found["disks"].tenants, found["disks"].problem) == (1, UNKNOWN)


async def test_a_tenant_that_is_away_backs_off_and_does_not_hold_up_the_others(platform: Platform) -> None:
    await create(platform, "acme")
    await create(platform, "globex")
    tenant = await platform.registry.read(get_tenant, "acme")
    path = platform.settings.data_dir / tenant.location
    await platform.databases.forget(platform.parts.ref(tenant))
    path.rename(path.with_name("away"))
    await add_role(platform, "rol_x", "X")
    assert await platform.lifecycle.wait_synced() == 1
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert record.attempts == 1
    assert record.last_error is not None
    assert record.last_error.startswith("DatabaseMissing")
    assert set(await roles_of(await tenant_of(platform, "globex"))) == {"rol_x"}
    path.with_name("away").rename(path)
    assert (await platform.lifecycle.converge_all())["lagging"] == 0
    record = await platform.registry.read(sync_record, "acme")
    assert record is not None
    assert (record.attempts, record.last_error) == (0, None)


@pytest.mark.faults
@pytest.mark.parametrize(
    "place",
    ["database.after_commit", "sync.claimed", "sync.apply.rows@3", "sync.applied@1", "sync.applied@5"],
)
def test_killed_in_the_middle_of_a_sync_the_rest_is_done_by_the_next_life(
    settings: Settings, place: str
) -> None:
    """F2, F3, F4: after the operator's commit, inside a tenant's transaction, before the ledger knows."""
    names = [f"t{number}" for number in range(8)]

    async def prepare() -> None:
        async with opened(settings) as platform:
            for name in names:
                await create(platform, name)

    async def change() -> None:
        async with opened(settings) as platform:
            name, _, at = place.partition("@")
            failpoints.configure(f"{name}=exit@{at}" if at else f"{name}=exit")
            await add_role(platform, "rol_x", "X")
            await platform.worker.catch_up()

    asyncio.run(prepare())
    assert in_child(change) == EXIT_STATUS

    async def next_life() -> None:
        async with opened(settings) as platform:
            platform.start()
            async with asyncio.timeout(60):
                one = await platform.directory.control_plane()
                wanted = await one.database.read(load_wanted)
                while await platform.registry.read(count_lagging, wanted):
                    await asyncio.sleep(0.05)
            for name in names:
                tenant = await tenant_of(platform, name)
                assert await roles_of(tenant) == {"rol_x": ("X", 1)}
                assert (await platform.lifecycle.drift(name))["in_sync"]

    asyncio.run(next_life())


async def test_an_older_catalogue_is_refused(platform: Platform) -> None:
    """F22: a worker that read before a change and writes after another one applied it."""
    await create(platform, "acme")
    await add_role(platform, "rol_x", "X")
    registered = await platform.registry.read(get_tenant, "acme")
    tenant, one = await tenant_of(platform), await platform.directory.control_plane()
    old = platform.parts.desired.for_tenant(
        await one.database.read(load_catalogue), registered_follower(registered)
    )
    await on_tenant_one(platform, RENAME, name="Y")
    await on_tenant_one(platform, RENAME, name="X")  # the same content again, at a newer version
    await on_tenant_one(platform, "DELETE FROM roles WHERE id = 'rol_x'")
    await platform.lifecycle.wait_synced()
    assert await roles_of(tenant) == {}
    applied = await tenant.database.alone(apply, old, now=1, converge=True)
    assert applied.outcome is Outcome.OLDER
    assert await roles_of(tenant) == {}


async def test_a_newer_version_of_equal_content_shuts_out_what_lay_between(platform: Platform) -> None:
    await create(platform, "acme")
    await add_role(platform, "rol_x", "X")
    await platform.lifecycle.wait_synced()
    registered = await platform.registry.read(get_tenant, "acme")
    tenant, one = await tenant_of(platform), await platform.directory.control_plane()
    await on_tenant_one(platform, RENAME, name="Between")
    between = platform.parts.desired.for_tenant(
        await one.database.read(load_catalogue), registered_follower(registered)
    )
    await on_tenant_one(platform, RENAME, name="X")
    await platform.lifecycle.wait_synced()
    assert (await tenant.database.alone(apply, between, now=1, converge=True)).outcome is Outcome.OLDER
    assert await roles_of(tenant) == {"rol_x": ("X", 1)}


async def test_two_processes_that_converge_the_same_tenants_do_it_once_in_effect(settings: Settings) -> None:
    async with opened(settings) as first, opened(settings) as second:
        for number in range(6):
            await create(first, f"t{number}")
        for turn in range(4):
            await on_tenant_one(first, "DELETE FROM roles WHERE id = 'rol_x'")
            await add_role(first, "rol_x", f"Round {turn}")
            await asyncio.gather(
                first.worker.catch_up(), second.worker.catch_up(), first.lifecycle.converge_all()
            )
            assert await second.lifecycle.wait_synced() == 0
            for number in range(6):
                tenant = await tenant_of(second, f"t{number}")
                assert await roles_of(tenant) == {"rol_x": (f"Round {turn}", 1)}


async def test_drift_names_what_is_missing_extra_and_changed_and_converge_repairs_it(
    platform: Platform,
) -> None:
    for id, name in (("rol_x", "X"), ("rol_y", "Y")):
        await add_role(platform, id, name)
    await create(platform, "acme")
    tenant = await tenant_of(platform)

    def damage(connection: Connection) -> None:
        for statement in (
            "DELETE FROM roles WHERE id = 'rol_x'",
            "UPDATE roles SET name = 'Z' WHERE id = 'rol_y'",
            "INSERT INTO roles SELECT 'rol_e', 'E', description, metadata, labels, 1, 1, 1 FROM roles",
        ):
            connection.exec_driver_sql(statement)

    await tenant.database.alone(damage, converge=True)
    assert await platform.gate.ensure(tenant) is Freshness.FRESH
    drift = await platform.lifecycle.converge("acme", dry_run=True)
    assert [item["id"] for item in drift["missing"]] == ["rol_x"]
    assert [item["id"] for item in drift["extra"]] == ["rol_e"]
    assert [(item["id"], item["fields"]) for item in drift["changed"]] == [("rol_y", ("name",))]
    assert await platform.worker.sweep() == 1
    assert await roles_of(tenant) == {"rol_x": ("X", 1), "rol_y": ("Y", 1)}
    assert (await platform.lifecycle.drift("acme"))["in_sync"]


async def test_a_restored_tenant_one_supersedes_by_its_new_incarnation(
    platform: Platform, data: Path
) -> None:
    await create(platform, "acme")
    registered = await platform.registry.read(get_tenant, "acme")
    tenant, one = await tenant_of(platform), await platform.directory.control_plane()
    await add_role(platform, "rol_x", "X")
    await platform.lifecycle.wait_synced()
    import msgspec

    offered = msgspec.structs.replace(
        await one.database.read(load_catalogue), incarnation="inc_restored", version=1, roles=()
    )
    desired = platform.parts.desired.for_tenant(offered, registered_follower(registered))
    applied = await tenant.database.alone(apply, desired, now=1, converge=True)
    assert applied.outcome is Outcome.APPLIED
    assert await rows(tenant, "SELECT applied_incarnation, applied_version FROM tenant") == [
        ("inc_restored", 1)
    ]
    assert await roles_of(tenant) == {}


async def test_the_sweep_removes_an_organization_that_stands_for_no_tenant(platform: Platform) -> None:
    await create(platform, "acme")
    one = await platform.directory.control_plane()
    orphan = sql(
        "INSERT INTO organizations (id, name, branding, metadata, managed_by, created_at, updated_at)"
        " VALUES ('org_lost', 'lost', '{}', '{}', 'tenant', 1, 1)"
    )
    await one.database.alone(orphan, converge=True)
    own = "INSERT INTO organizations (id, name, branding, metadata, created_at, updated_at)"
    await one.database.write(sql(own + " VALUES ('org_own', 'own', '{}', '{}', 1, 1)"))
    await platform.worker.sweep()
    names = await one.database.read(sql("SELECT name FROM organizations ORDER BY name"))
    assert names == [("acme",), ("own",)]
