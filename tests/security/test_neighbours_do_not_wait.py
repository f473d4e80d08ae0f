"""A tenant whose database is busy keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection

from tests.installation import Installation

pytestmark = pytest.mark.anyio


def _hold(_: Connection, let_go: threading.Event) -> None:
    let_go.wait(120)


@pytest.fixture
async def busy(installation: Installation) -> AsyncIterator[Installation]:
    """acme's writer is held, and an event of acme's waits to be written."""
    acme = await installation.running.platform.directory.by_id("acme")
    assert acme is not None
    let_go = threading.Event()
    held = asyncio.create_task(acme.database.write(_hold, let_go))
    await asyncio.sleep(0.05)
    await installation.relying_party("acme").authorize(audience="https://nobody.example")
    yield installation
    let_go.set()
    await held


async def test_the_log_of_one_tenant_is_read_while_anothers_cannot_be_written(busy: Installation) -> None:
    async with asyncio.timeout(60):
        globex = await busy.manager("globex")
        assert await globex.get("/logs")


async def test_people_of_one_tenant_sign_in_while_another_is_busy(busy: Installation) -> None:
    async with asyncio.timeout(60):
        assert (await busy.relying_party("globex").sign_in()).status == 200
