"""A move that cannot succeed leaves the tenant where it is, writable, with nothing of the try on either side."""

import asyncio

import pytest
from sqlalchemy import Connection, insert, text

from controlplane.registry.backups import list_backups
from controlplane.registry.operations import LeaseLost, OperationRecord, latest_operation
from controlplane.registry.tenants import get_tenant
from core.errors import Conflict, DatabaseMoved
from core.settings import Settings
from core.tenants import RestoreOrder
from provisioning.moving.attempt import Attempt
from provisioning.moving.run import TRIES
from provisioning.platform import Platform
from provisioning.replacing import choose, successor
from tenant_runtime.models import Ticket
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.moving.conftest import libsql_table
from tests.moving.load import add, fill
from tests.moving.test_moving import database_of, moved
from tests.provisioning.installations import create, opened, settings_for, sql

pytestmark = [pytest.mark.libsql, pytest.mark.postgresql]

OWN_DATABASES = "SELECT datname FROM pg_database WHERE datname LIKE '%acme%'"
MOVE_TABLES = "SELECT name FROM sqlite_master WHERE name LIKE 'move%'"


async def _stays(platform: Platform, written: str = "load|after") -> None:
    assert (await platform.registry.read(get_tenant, "acme")).backend == "sqlite"
    database = await database_of(platform, "acme")
    assert await database.write(add, written) == written
    assert await database.read(sql(MOVE_TABLES)) == []


async def _ended(platform: Platform) -> OperationRecord:
    operation = await platform.registry.read(latest_operation, "acme", "move")
    assert operation is not None
    return operation


async def _attempt(platform: Platform, name: str, *, generation: int = 2, to: str = "libsql") -> Attempt:
    tenant = await platform.registry.read(get_tenant, "acme")
    chosen = choose(platform.parts, tenant, backend=to, incarnation=tenant.incarnation, generation=generation)
    return Attempt(platform.parts, tenant, chosen, name)


async def test_what_the_new_place_cannot_hold_is_said_and_nobody_tries_again(
    platform: Platform, postgres: Postgres
) -> None:
    """PostgreSQL keeps no text with a zero byte in it; SQLite does."""

    def put(connection: Connection) -> None:
        ticket = {"digest": "a\0b", "kind": "k", "payload": {}, "created_at": 1, "expires_at": 2}
        connection.execute(insert(Ticket.__table__), ticket)

    before = postgres.query(OWN_DATABASES)
    await create(platform, "acme")
    await (await database_of(platform, "acme")).write(put)
    await platform.moves.move("acme", "postgresql")
    operation = await _ended(platform)
    assert (operation.state, operation.attempts) == ("cancelled", 1)
    assert operation.error is not None
    assert operation.error.startswith("copy: ")
    await _stays(platform)
    assert postgres.query(OWN_DATABASES) == before


async def test_a_server_that_is_away_is_tried_again_and_given_up_at_last(
    settings: Settings, own_sqld: Sqld
) -> None:
    assert settings.backends_file is not None
    settings.backends_file.write_text(libsql_table(own_sqld))
    async with opened(settings_for(settings.data_dir, backends_file=settings.backends_file)) as platform:
        await create(platform, "acme")
        own_sqld.stop()
        await platform.moves.move("acme", "libsql")
        assert (await _ended(platform)).state == "failed"
        await _stays(platform, "load|first")
        for beside in (platform.moves.move("acme", "libsql"), platform.lifecycle.delete("acme")):
            with pytest.raises(Conflict) as refused:
                await beside
            assert refused.value.code == "operation_in_progress"
        for _ in range(TRIES - 1):
            await platform.lifecycle.retry("acme")
        operation = await _ended(platform)
        assert (operation.state, operation.attempts) == ("cancelled", TRIES)
        await _stays(platform, "load|second")
        own_sqld.start()
        await moved(platform, "acme", "libsql")


async def test_a_server_that_comes_back_is_moved_to(settings: Settings, own_sqld: Sqld) -> None:
    assert settings.backends_file is not None
    settings.backends_file.write_text(libsql_table(own_sqld))
    async with opened(settings_for(settings.data_dir, backends_file=settings.backends_file)) as platform:
        await create(platform, "acme")
        own_sqld.stop()
        await platform.moves.move("acme", "libsql")
        own_sqld.start()
        await platform.lifecycle.retry("acme")
        operation = await _ended(platform)
        assert (operation.state, operation.error, operation.attempts) == ("succeeded", None, 2)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET name = 'another' WHERE user_id = 'filled|000003'",
        "DELETE FROM users WHERE user_id = 'filled|000003'",
        "UPDATE tenant SET config_version = 1",
    ],
)
@pytest.mark.parametrize("to", ["libsql", "postgresql"])
async def test_a_copy_that_differs_is_never_pointed_to(platform: Platform, change: str, to: str) -> None:
    await create(platform, "acme")
    await (await database_of(platform, "acme")).write(fill, 0, 600)
    attempt = await _attempt(platform, "one", to=to)

    def until_verified() -> None:
        attempt.capture()
        attempt.copy()
        attempt.catch_up()
        tenant = successor(attempt._tenant, attempt.replacement)
        with platform.databases.exclusive(platform.parts.ref(tenant), converge=True) as target:
            target.execute(text(change))
        attempt.verify()

    if "tenant" in change:  # which every round makes the source's again
        await asyncio.to_thread(until_verified)
    else:
        with pytest.raises(Conflict) as differs:
            await asyncio.to_thread(until_verified)
        assert differs.value.code == "copy_differs"
    await asyncio.to_thread(attempt.undo_source)
    await asyncio.to_thread(attempt.undo_target)
    await _stays(platform)


async def test_a_worker_that_was_stopped_finds_anothers_number_and_ends(platform: Platform) -> None:
    await create(platform, "acme")
    await (await database_of(platform, "acme")).write(fill, 0, 100)
    late, other = await _attempt(platform, "late"), await _attempt(platform, "other", generation=3)

    def begun() -> None:
        late.capture()
        late.copy()
        other.capture()
        other.copy()

    await asyncio.to_thread(begun)
    for step in (late.catch_up, late.verify, late.fence, late.drain):
        with pytest.raises(LeaseLost):
            await asyncio.to_thread(step)
    await asyncio.to_thread(late.undo_source)  # nothing of the other's
    await asyncio.to_thread(other.fence)
    with pytest.raises(DatabaseMoved):
        await (await database_of(platform, "acme")).write(add, "load|never")
    await asyncio.to_thread(late.undo_source)
    with pytest.raises(DatabaseMoved):
        await (await database_of(platform, "acme")).write(add, "load|never")
    assert await asyncio.to_thread(other.drain) == 0
    for attempt in (late, other):
        await asyncio.to_thread(attempt.undo_source)
        await asyncio.to_thread(attempt.undo_target)
    await _stays(platform)


async def test_a_backup_taken_at_the_fence_is_restored_open(platform: Platform) -> None:
    await create(platform, "acme")
    await (await database_of(platform, "acme")).write(add, "load|before")
    attempt = await _attempt(platform, "one")
    await asyncio.to_thread(attempt.capture)
    await asyncio.to_thread(attempt.copy)
    await asyncio.to_thread(attempt.fence)
    await platform.backups.take("acme")
    await asyncio.to_thread(attempt.undo_source)
    await asyncio.to_thread(attempt.undo_target)
    backup = (await platform.registry.read(list_backups, "acme"))[0]
    await platform.backups.restore("acme", RestoreOrder(backup_id=backup.id))
    await _stays(platform)


async def test_a_schema_that_changes_meanwhile_is_noticed_at_the_fence(platform: Platform) -> None:
    """What a migration does to triggers: it drops all there are and makes its own."""
    from core.database.triggers import drop_triggers

    await create(platform, "acme")
    attempt = await _attempt(platform, "one")

    def disturbed() -> None:
        attempt.capture()
        attempt.copy()
        with platform.databases.exclusive(attempt._source) as source:
            drop_triggers(source)
        attempt.fence()

    with pytest.raises(Conflict) as noticed:
        await asyncio.to_thread(disturbed)
    assert noticed.value.code == "move_disturbed"
