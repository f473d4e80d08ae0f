"""A fenced database is read and not written, until the fence is lowered."""

import asyncio

import pytest

from controlplane.registry.tenants import get_tenant
from core.errors import DatabaseMoved
from provisioning.fence import is_fenced, lower_fence, raise_fence
from provisioning.platform import Platform
from tests.provisioning.installations import create, sql

pytestmark = pytest.mark.anyio

WRITES = (
    "INSERT INTO settings (key, source, value) VALUES ('a', 'tenant', '1')",
    "UPDATE clients SET name = 'x'",
    "DELETE FROM clients",
    "UPDATE tenant SET config_version = 9",
)


async def test_every_write_fails_and_every_read_goes_on(platform: Platform) -> None:
    await create(platform, "acme")
    ref = platform.parts.ref(await platform.registry.read(get_tenant, "acme"))
    handle = platform.databases.open(ref)
    before = await handle.read(sql("SELECT client_id, name FROM clients"))

    def change(unit: object) -> None:
        with platform.databases.exclusive(ref) as connection:
            unit(connection)  # type: ignore[operator]

    for _ in range(2):
        await asyncio.to_thread(change, raise_fence)
    assert await handle.read(is_fenced)
    for write in WRITES:
        with pytest.raises(DatabaseMoved):
            await asyncio.to_thread(change, sql(write))
    assert await handle.read(sql("SELECT client_id, name FROM clients")) == before
    await asyncio.to_thread(change, lower_fence)
    assert not await handle.read(is_fenced)
    await handle.write(sql(WRITES[1]))
