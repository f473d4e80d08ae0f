"""A database that is being replaced is written by nobody, whatever a process had begun before it was fenced."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

import migrations
from controlplane.registry.tenants import get_tenant
from core.database import DatabaseRef
from core.errors import DatabaseBusy, DatabaseMoved
from provisioning.fence import raise_fence
from provisioning.migrating.schema import ensure_schema, version_of
from provisioning.moving import capture
from provisioning.platform import Platform
from provisioning.transfer import shapes_of
from tests.migrations.older import make_older
from tests.provisioning.installations import create, sql

pytestmark = pytest.mark.anyio

BEFORE = migrations.previous("tenant")


def fenced_by_a_move(connection: Connection) -> None:
    shapes = capture.moved(shapes_of(connection))
    capture.begin(connection, "op_1.1")
    capture.watch(connection, shapes, "op_1.1")
    capture.close(connection, shapes, "op_1.1")


async def behind(platform: Platform) -> DatabaseRef:
    await create(platform, "acme")
    ref = platform.parts.ref(await platform.registry.read(get_tenant, "acme"))
    await platform.databases.forget(ref)
    make_older(ref.file, BEFORE)
    return ref


@pytest.mark.parametrize("closing", [raise_fence, fenced_by_a_move])
async def test_a_migration_that_was_begun_before_opens_no_fence(
    platform: Platform, closing: Callable[[Connection], None]
) -> None:
    """It makes all triggers anew, and the fence is made of triggers."""
    ref = await behind(platform)

    def change(unit: Callable[[Connection], object]) -> None:
        with platform.databases.exclusive(ref) as connection:
            unit(connection)

    await asyncio.to_thread(change, closing)
    with pytest.raises(DatabaseBusy):
        await asyncio.to_thread(ensure_schema, platform.parts, ref)
    assert await asyncio.to_thread(version_of, platform.parts, ref) == BEFORE
    with pytest.raises(DatabaseMoved):
        await asyncio.to_thread(change, sql("UPDATE clients SET name = 'lost'"))
