"""A seeded mixture of everything: what was acknowledged is in the file, what was refused is not, nobody hangs."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection

from core.database import Database, DatabaseRef, Databases
from core.errors import WrongDatabase
from tests.databases import units
from tests.databases.conftest import names_in

pytestmark = pytest.mark.anyio


def insert_and_raise(conn: Connection, name: str) -> None:
    units.insert(conn, name)
    raise LookupError


def insert_and_commit(conn: Connection, name: str) -> None:
    units.insert(conn, name)
    conn.exec_driver_sql("COMMIT")


def insert_and_break_a_deferred_key(conn: Connection, name: str) -> None:
    units.insert(conn, name)
    conn.exec_driver_sql("INSERT INTO child (parent) VALUES (4711)")


class Mixture:
    def __init__(self, pool: Databases, seed: int) -> None:
        self.pool = pool
        self.random = random.Random(seed)
        self.kept: dict[str, set[str]] = defaultdict(set)
        self.refused: dict[str, set[str]] = defaultdict(set)
        self.unknown: dict[str, set[str]] = defaultdict(set)
        self.steps = [
            self.write,
            self.write,
            self.alone,
            self.read,
            self.fail,
            self.cancel,
            self.fleet,
            self.forget,
        ]

    async def client(self, refs: list[DatabaseRef], name: str, until: float) -> None:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            database = self.pool.open(self.random.choice(refs))
            with suppress(WrongDatabase):  # forgotten by another client before anything was done
                await self.random.choice(self.steps)(database, f"{name}-{turn}")

    async def write(self, database: Database, name: str) -> None:
        await database.write(units.insert, name)
        self.kept[database.ref.owner].add(name)

    async def alone(self, database: Database, name: str) -> None:
        await database.alone(units.insert, name)
        self.kept[database.ref.owner].add(name)

    async def read(self, database: Database, _: str) -> None:
        kept = set(self.kept[database.ref.owner])
        assert kept <= set(await database.read(units.names))
        assert await database.snapshot(units.colour) == "red"

    async def fail(self, database: Database, name: str) -> None:
        bad = self.random.choice([insert_and_raise, insert_and_commit, insert_and_break_a_deferred_key])
        with pytest.raises(Exception):  # noqa: B017, PT011 - which one is another test's matter
            await database.write(bad, name)
        self.refused[database.ref.owner].add(name)

    async def cancel(self, database: Database, name: str) -> None:
        request = asyncio.create_task(database.write(units.insert, name))
        await asyncio.sleep(self.random.random() * 0.003)
        request.cancel()
        self.unknown[database.ref.owner].add(name)
        await asyncio.wait([request])
        if not request.cancelled() and request.exception() is None:
            self.kept[database.ref.owner].add(name)

    async def fleet(self, database: Database, name: str) -> None:
        def insert() -> None:
            with self.pool.exclusive(database.ref) as conn:
                units.insert(conn, name)

        await asyncio.to_thread(insert)
        self.kept[database.ref.owner].add(name)

    async def forget(self, database: Database, _: str) -> None:
        if self.random.random() < 0.3:
            await self.pool.forget(database.ref)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_mixture_of_everything_keeps_every_promise(
    tmp_path: Path, make: Callable[..., DatabaseRef], seed: int
) -> None:
    refs = [make(f"tenant{n}") for n in range(6)]
    async with Databases(tmp_path, max_open=3, idle_seconds=0.1, synchronous="NORMAL") as pool:
        mixture = Mixture(pool, seed)
        until = time.monotonic() + 0.8
        async with asyncio.timeout(60):
            await asyncio.gather(*(mixture.client(refs, f"c{n}", until) for n in range(12)))
    for ref in refs:
        there = set(names_in(ref))
        assert mixture.kept[ref.owner] <= there <= mixture.kept[ref.owner] | mixture.unknown[ref.owner]
        assert not there & mixture.refused[ref.owner]
