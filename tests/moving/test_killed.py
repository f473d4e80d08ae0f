"""Killed anywhere, a move is taken up again, undone and begun anew, or finished; whatever was written is there."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controlplane.registry.operations import latest_operation
from controlplane.registry.tenants import get_tenant
from core import failpoints
from core.failpoints import EXIT_STATUS
from core.settings import Settings
from provisioning.platform import Platform
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.matrices import in_ci
from tests.moving.conftest import libsql_table, postgresql_table
from tests.moving.load import add, fill, names
from tests.moving.test_moving import database_of
from tests.provisioning.installations import create, in_child, opened, settings_for, settle, sql

pytestmark = [pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]

BEFORE = [
    "move.undo.before",
    "move.capture.before",
    "move.capture.after",
    "move.copy.snapshot",
    "replace.put.after",
    "move.copy.after",
    "move.catch_up.after",
    "move.verify.after",
    "move.fence.before",
]
FENCED = ["move.fence.after", "move.drain.after"]
AFTER = ["move.flip.after", "move.settle.before", "move.settle.after"]
MOVE_TABLES = "SELECT name FROM sqlite_master WHERE name LIKE 'move%'"


@pytest.fixture
def settings(data: Path, sqld: Sqld, postgres: Postgres) -> Settings:
    (data / "backends.toml").write_text(libsql_table(sqld) + postgresql_table(postgres))
    return settings_for(data, backends_file=Path("backends.toml"), converge_seconds=60.0)


def with_platform(settings: Settings, work: Callable[[Platform], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(settings) as platform:
            await work(platform)

    asyncio.run(run())


def made(settings: Settings, backend: str) -> None:
    async def make(platform: Platform) -> None:
        await create(platform, "acme", backend=backend)
        database = await database_of(platform, "acme")
        await database.write(fill, 0, 700)
        await database.write(add, "load|before")

    with_platform(settings, make)


def killed(settings: Settings, to: str, point: str) -> None:
    async def move() -> None:
        async with opened(settings) as platform:
            await platform.moves.move("acme", to)

    assert in_child(move, f"{point}=exit") == EXIT_STATUS


async def _finished(platform: Platform, to: str) -> None:
    operation = await platform.registry.read(latest_operation, "acme", "move")
    assert operation is not None
    assert (operation.state, operation.error) == ("succeeded", None)
    assert (await platform.registry.read(get_tenant, "acme")).backend == to


async def _goes_on(platform: Platform, to: str) -> None:
    """A write that came while nobody was at work is told only when it is kept, and everything is there."""
    database = await database_of(platform, "acme")
    writing = asyncio.create_task(database.write(add, "load|meanwhile"))
    await settle(platform)
    await writing
    await _finished(platform, to)
    assert await database.read(names) == {key: key for key in ("load|before", "load|meanwhile")}
    assert await database.read(sql("SELECT count(*) FROM users WHERE user_id LIKE 'filled|%'")) == [(700,)]
    if to != "postgresql":
        assert await database.read(sql(MOVE_TABLES)) == []


@pytest.mark.parametrize("point", in_ci([*BEFORE, *FENCED, *AFTER], ["move.copy.after", "move.flip.after"]))
def test_from_a_file_to_a_libsql_server(settings: Settings, point: str) -> None:
    made(settings, "sqlite")
    killed(settings, "libsql", point)
    with_platform(settings, lambda platform: _goes_on(platform, "libsql"))


@pytest.mark.parametrize("point", in_ci(["replace.put.after", *FENCED, *AFTER], ["move.fence.after"]))
def test_from_a_libsql_server_to_postgresql(settings: Settings, point: str) -> None:
    made(settings, "libsql")
    killed(settings, "postgresql", point)
    with_platform(settings, lambda platform: _goes_on(platform, "postgresql"))


@pytest.mark.parametrize(
    "point", in_ci(["move.copy.snapshot", "replace.put.after", *FENCED], ["replace.put.after"])
)
def test_what_a_killed_try_made_is_deleted_by_the_next(settings: Settings, point: str) -> None:
    made(settings, "postgresql")
    killed(settings, "sqlite", point)
    with_platform(settings, lambda platform: _goes_on(platform, "sqlite"))
    files = [path.name for path in (settings.data_dir / "tenants").glob("*/acme.*.db")]
    assert len(files) == 1
    assert not list((settings.data_dir / "drafts").rglob("*.db"))
    assert not list((settings.data_dir / "quarantine").glob("acme.*.db*"))


@pytest.mark.parametrize("point", in_ci([*BEFORE[2:], *FENCED], ["move.capture.after", "move.drain.after"]))
def test_what_fails_is_undone_at_once_and_tried_again(settings: Settings, point: str) -> None:
    made(settings, "sqlite")

    async def work(platform: Platform) -> None:
        failpoints.configure(f"{point}=raise@1")
        operation_id = await platform.moves.move("acme", "libsql")
        database = await database_of(platform, "acme")
        assert (await platform.registry.read(get_tenant, "acme")).backend == "sqlite"
        assert await database.write(add, "load|meanwhile") == "load|meanwhile"
        assert await database.read(sql(MOVE_TABLES)) == []
        await platform.lifecycle.retry("acme")
        operation = await platform.registry.read(latest_operation, "acme", "move")
        assert operation is not None
        assert (operation.id, operation.attempts) == (operation_id, 2)
        await _finished(platform, "libsql")
        assert set(await database.read(names)) == {"load|before", "load|meanwhile"}

    with_platform(settings, work)


@pytest.mark.parametrize("point", in_ci(AFTER, ["move.settle.before"]))
def test_what_fails_after_the_pointer_went_over_is_finished(settings: Settings, point: str) -> None:
    made(settings, "sqlite")

    async def work(platform: Platform) -> None:
        failpoints.configure(f"{point}=raise@1")
        await platform.moves.move("acme", "libsql")
        database = await database_of(platform, "acme")
        assert await database.write(add, "load|meanwhile") == "load|meanwhile"
        await platform.lifecycle.retry("acme")
        await _finished(platform, "libsql")
        assert set(await database.read(names)) == {"load|before", "load|meanwhile"}

    with_platform(settings, work)
