"""F33: a backup is taken while four write, and is one moment of what they wrote; restored, that moment is back."""

import asyncio

import pytest

from controlplane.registry.backups import list_backups
from controlplane.registry.operations import get_operation
from core.tenants import RestoreOrder
from provisioning.platform import Platform
from tests.provisioning.installations import create, sql

pytestmark = pytest.mark.anyio

PAIRS = "INSERT INTO settings (key, source, value) VALUES (:first, 'tenant', '1'), (:second, 'tenant', '1')"
WRITERS = 4


async def write(platform: Platform, writer: int, done: asyncio.Event) -> list[int]:
    """Pairs of rows, each pair in one transaction; answers those that were acknowledged."""
    acknowledged: list[int] = []
    number = 0
    while not done.is_set():
        tenant = await platform.directory.by_id("acme")
        assert tenant is not None
        names = {"first": f"{writer}-{number}-a", "second": f"{writer}-{number}-b"}
        await tenant.database.write(sql(PAIRS, **names))
        acknowledged.append(number)
        number += 1
    return acknowledged


async def test_a_backup_is_one_moment_and_nothing_acknowledged_before_it_is_missing(
    platform: Platform,
) -> None:
    await create(platform, "acme")
    done = asyncio.Event()
    writers = [asyncio.create_task(write(platform, writer, done)) for writer in range(WRITERS)]
    await asyncio.sleep(0.2)
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    before = await tenant.database.read(sql("SELECT key FROM settings"))
    taken = await platform.registry.read(get_operation, await platform.backups.take("acme"))
    assert taken.state == "succeeded", taken.error
    done.set()
    acknowledged = await asyncio.gather(*writers)
    assert all(acknowledged)
    (backup,) = await platform.registry.read(list_backups, "acme")
    await platform.backups.restore("acme", RestoreOrder(backup_id=backup.id))
    restored = await platform.directory.by_id("acme")
    assert restored is not None
    rows = await restored.database.read(sql("SELECT key FROM settings"))
    keys = {key for (key,) in rows if key[:1].isdigit()}
    assert {key for (key,) in before if key[:1].isdigit()} <= keys
    for writer in range(WRITERS):
        numbers = [int(key.split("-")[1]) for key in keys if key.startswith(f"{writer}-")]
        assert sorted(numbers) == sorted(2 * list(range(len(numbers) // 2)))
        assert len(numbers) // 2 <= len(acknowledged[writer])


async def test_who_writes_while_the_tenant_is_restored_is_answered_and_goes_on_in_the_new_one(
    platform: Platform,
) -> None:
    await create(platform, "acme")
    await platform.backups.take("acme")
    (backup,) = await platform.registry.read(list_backups, "acme")
    done = asyncio.Event()
    writers = [asyncio.create_task(write(platform, writer, done)) for writer in range(WRITERS)]
    await asyncio.sleep(0.2)
    operation_id = await platform.backups.restore("acme", RestoreOrder(backup_id=backup.id))
    assert (await platform.registry.read(get_operation, operation_id)).state == "succeeded"
    await asyncio.sleep(0.2)
    done.set()
    acknowledged = await asyncio.gather(*writers)
    tenant = await platform.directory.by_id("acme")
    assert tenant is not None
    rows = await tenant.database.read(sql("SELECT key FROM settings"))
    keys = {key for (key,) in rows}
    for writer, numbers in enumerate(acknowledged):
        kept = [number for number in numbers if f"{writer}-{number}-a" in keys]
        assert kept == numbers[-len(kept) :]  # whatever was acknowledged after the flip, and nothing before
        assert kept
