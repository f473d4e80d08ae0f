"""A whole installation in a folder, made once and copied for each test; and processes that die on it."""

import asyncio
import os
import shutil
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from core import failpoints
from core.settings import Settings
from core.tenants import NewTenant
from provisioning.installation import initialise
from provisioning.platform import Platform, open_platform
from tests.engines.registries import registry_of

OPERATOR = "operator@example.com"
PASSWORD = "correct horse battery staple"


class MovableClock:
    """Runs with the world, and ahead of it as far as a test says."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        import time

        return time.time() + self.ahead


def settings_for(folder: Path, **values: Any) -> Settings:
    fast = {
        "password_memory_kib": 64, "password_iterations": 1, "spare_keys": 1, "max_open_tenants": 32,
        "patience_seconds": 3.0, "converge_seconds": 60.0,
    }  # fmt: skip
    return Settings(data_dir=folder, **{**fast, **registry_of(folder), **values})


def make_installation(folder: Path) -> None:
    settings = settings_for(folder, spare_keys=8)

    async def make() -> None:
        await initialise(settings, operator_email=OPERATOR, operator_password=PASSWORD, one_node=True)
        async with opened(settings) as platform:
            platform.keystock.start()
            while len(platform.keystock) < 8:
                await asyncio.sleep(0.02)

    asyncio.run(make())


_made: list[Path] = []


def made_once(factory: pytest.TempPathFactory) -> Path:
    """One for all folders of tests that ask for it."""
    if not _made:
        folder = factory.mktemp("installation") / "data"
        make_installation(folder)
        _made.append(folder)
    return _made[0]


def copy_installation(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("generations", "workers"))
    return target


@asynccontextmanager
async def opened(settings: Settings, **arguments: Any) -> AsyncGenerator[Platform, None]:
    """The spare keys that lie in the registry are taken out first: nobody waits for one to be made."""
    platform = await open_platform(settings, **arguments)
    try:
        platform.keystock.start()
        while len(platform.keystock) < settings.spare_keys:
            await asyncio.sleep(0.005)
        yield platform
    finally:
        await platform.close()


async def create(platform: Platform, tenant_id: str, **values: Any) -> str:
    new = NewTenant(id=tenant_id, **{"display_name": tenant_id.title(), **values})
    return await platform.lifecycle.create(new)


def in_child(work: Callable[[], Awaitable[Any]], failing: str = "") -> int:
    """Do it in a process of its own, which the failpoint ends without a word; answers its exit status."""
    return ended(start_child(work, failing))


def start_child(work: Callable[[], Awaitable[Any]], failing: str = "") -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            failpoints.configure(failing)
            asyncio.run(work())  # type: ignore[arg-type]
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def settle(platform: Platform) -> None:
    """What a worker does with what it finds, until there is nothing left."""
    from provisioning.operations import run_due

    for _ in range(5):
        await run_due(platform.parts)
        await platform.worker.catch_up()


def sql(statement: str, **values: Any) -> Callable[[Connection], list[Any]]:
    """A unit of one statement."""

    def unit(connection: Connection) -> list[Any]:
        result = connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    return unit


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.db"))
