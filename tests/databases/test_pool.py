"""Open databases are bounded, opened once, and never closed under who uses them."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from core.database import DatabaseRef, Databases
from core.errors import DatabaseBusy, DatabaseMissing, WrongDatabase
from tests.databases import units
from tests.databases.processes import run

pytestmark = pytest.mark.anyio

Make = Callable[..., DatabaseRef]


async def test_the_least_used_is_closed_and_never_one_in_use(tmp_path: Path, make: Make) -> None:
    async with Databases(tmp_path, max_open=2) as pool:
        busy, idle, third = (pool.open(make(name)) for name in ("busy", "idle", "third"))
        held = units.Held()
        in_use = asyncio.create_task(busy.read(held))
        await held.has_begun()
        await idle.read(units.names)
        assert await third.read(units.names) == []
        assert (pool.is_open(busy.ref), pool.is_open(idle.ref), pool.is_open(third.ref)) == (
            True,
            False,
            True,
        )
        held.let_go()
        await in_use
        assert await idle.read(units.names) == []
        assert pool.open_count == 2


async def test_when_all_are_in_use_the_next_waits_and_then_is_refused(tmp_path: Path, make: Make) -> None:
    async with Databases(tmp_path, max_open=1, write_deadline=0.3) as pool:
        busy, other = pool.open(make("busy")), pool.open(make("other"))
        held = units.Held()
        in_use = asyncio.create_task(busy.read(held))
        await held.has_begun()
        with pytest.raises(DatabaseBusy):
            await other.read(units.names)
        waits = asyncio.create_task(other.read(units.names))
        await asyncio.sleep(0.05)
        held.let_go()
        assert await waits == []
        await in_use


async def test_many_tenants_pass_through_a_small_pool_without_mixing(tmp_path: Path, make: Make) -> None:
    async with Databases(tmp_path, max_open=3) as pool:
        owners = [f"tenant{n}" for n in range(9)]
        handles = [pool.open(make(owner)) for owner in owners]
        for turn in range(3):
            await asyncio.gather(*(h.write(units.insert, f"{h.ref.owner}-{turn}") for h in handles))
            assert pool.open_count <= 3
        for handle in handles:
            assert await handle.read(units.names) == [f"{handle.ref.owner}-{turn}" for turn in range(3)]


async def test_fifty_first_uses_at_once_open_one_lane(databases: Databases, ref: DatabaseRef) -> None:
    def thread(_: Connection) -> int:
        return threading.get_ident()

    database = databases.open(ref)
    readers = await asyncio.gather(*(database.read(thread) for _ in range(50)))
    writers = await asyncio.gather(*(database.write(thread) for _ in range(50)))
    assert (len(set(readers)), len(set(writers))) == (1, 1)


async def test_idle_databases_are_closed_and_open_again(tmp_path: Path, ref: DatabaseRef) -> None:
    async with Databases(tmp_path, idle_seconds=0.1) as pool:
        database = pool.open(ref)
        await database.write(units.insert, "kept")
        async with asyncio.timeout(60):
            while pool.is_open(ref):
                await asyncio.sleep(0.05)
        assert await database.read(units.names) == ["kept"]


async def test_the_same_pointer_gives_the_same_handle(databases: Databases, ref: DatabaseRef) -> None:
    assert databases.open(ref) is databases.open(ref)


async def test_a_newer_generation_ends_handles_of_the_older(databases: Databases, make: Make) -> None:
    old = databases.open(make())
    await old.write(units.insert, "old")
    new = databases.open(make(incarnation="second", generation=2))
    assert await new.read(units.names) == []
    for use in (old.read, old.write, old.alone, old.snapshot):
        with pytest.raises(WrongDatabase):
            await use(units.names)
    with pytest.raises(WrongDatabase):
        databases.open(old.ref)
    with pytest.raises(WrongDatabase), databases.exclusive(old.ref):
        pass


async def test_forgetting_finishes_what_runs_and_ends_the_handle(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    held = units.Held()
    running = asyncio.create_task(database.write(held))
    await held.has_begun()
    queued = asyncio.create_task(database.write(units.insert, "kept"))
    await asyncio.sleep(0.05)
    forgetting = asyncio.create_task(databases.forget(ref))
    await asyncio.sleep(0.05)
    with pytest.raises(WrongDatabase):
        await database.read(units.names)
    assert not forgetting.done()
    held.let_go()
    await asyncio.gather(running, queued, forgetting)
    assert not ref.path.with_name(ref.path.name + "-wal").exists()
    assert await databases.open(ref).read(units.names) == ["kept"]
    with pytest.raises(WrongDatabase):
        await database.read(units.names)


async def test_forgetting_in_the_middle_of_opening_leaves_nothing_open(
    databases: Databases, ref: DatabaseRef
) -> None:
    database = databases.open(ref)
    opening = asyncio.create_task(database.write(units.insert, "x"))
    await asyncio.sleep(0)
    await databases.forget(ref)
    with pytest.raises(WrongDatabase):
        await opening
    assert databases.open_count == 0


async def test_who_waits_for_an_opening_may_be_cancelled(databases: Databases, ref: DatabaseRef) -> None:
    database = databases.open(ref)
    first, second = (asyncio.create_task(database.read(units.names)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == []


async def test_a_tenant_that_never_rests_still_makes_room(tmp_path: Path, make: Make) -> None:
    async with Databases(tmp_path, max_open=1, write_deadline=5.0) as pool:
        busy, other = pool.open(make("busy")), pool.open(make("other"))
        stop = asyncio.Event()

        async def never_rests() -> None:
            while not stop.is_set():
                await busy.read(units.names)

        tireless = asyncio.create_task(never_rests())
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            assert await other.read(units.names) == []
        stop.set()
        await tireless


async def test_closing_leaves_no_thread_and_no_descriptor(tmp_path: Path, make: Make) -> None:
    refs = [make(f"tenant{n}") for n in range(4)]
    async with Databases(tmp_path) as pool:
        await pool.open(refs[0]).read(units.names)
    await asyncio.sleep(0.05)
    gc.collect()  # what other tests left behind
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    async with Databases(tmp_path) as pool:
        for ref in refs:
            await pool.open(ref).write(units.insert, "x")
            with pool.exclusive(ref) as conn:
                units.insert(conn, "y")
        missing = DatabaseRef(path=tmp_path / "nowhere", owner="nobody", incarnation="x")
        with pytest.raises(DatabaseMissing):
            await pool.open(missing).read(units.names)
    await asyncio.sleep(0.05)
    assert threading.active_count() <= threads  # those of earlier tests may end meanwhile
    assert len(os.listdir("/proc/self/fd")) == files


FEW_DESCRIPTORS = """
import asyncio, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from core.database import Databases, DatabaseRef
from tests.databases import units

async def main(paths):
    async with Databases(paths[0].parent, synchronous="NORMAL") as pool:
        handles = [pool.open(DatabaseRef(path=p, owner=p.stem.split("-")[0], incarnation="first")) for p in paths]
        for _ in range(2):
            await asyncio.gather(*(h.write(units.insert, h.ref.owner + str(_)) for h in handles))
        answers = await asyncio.gather(*(h.read(units.names) for h in handles))
        print(all(a == [h.ref.owner + "0", h.ref.owner + "1"] for a, h in zip(answers, handles)), pool.open_count)
asyncio.run(main([Path(p) for p in sys.argv[1:]]))
"""


async def test_more_tenants_than_descriptors_never_show_as_an_error(make: Make) -> None:
    """F28, small: 256 descriptors, 36 tenants of which all are used at once."""
    refs = [make(f"tenant{n}") for n in range(36)]
    (said,) = await run(FEW_DESCRIPTORS, *(str(ref.path) for ref in refs))
    assert said == "True 16"
