"""Writers and readers of one tenant who never stop, and a ledger of what they were told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Connection, delete, insert, select, update

from core.database import Database
from provisioning.platform import Platform
from tenant_runtime.models import Ticket, User

_USERS, _TICKETS = User.__table__, Ticket.__table__


def add(connection: Connection, key: str) -> str:
    """A user and a ticket: two tables in one transaction."""
    connection.execute(insert(_USERS), _user(key))
    connection.execute(
        insert(_TICKETS),
        {"digest": key, "kind": "load", "payload": {"n": 1}, "created_at": 1, "expires_at": 2},
    )
    return key


def rename(connection: Connection, key: str, name: str) -> str:
    connection.execute(update(_USERS).where(_USERS.c.user_id == key).values(name=name))
    return name


def remove(connection: Connection, key: str) -> str:
    connection.execute(delete(_USERS).where(_USERS.c.user_id == key))
    return key


def fill(connection: Connection, start: int, count: int) -> None:
    connection.execute(insert(_USERS), [_user(f"filled|{start + n:06}") for n in range(count)])


def name_of(connection: Connection, key: str) -> str | None:
    found: str | None = connection.execute(select(_USERS.c.name).where(_USERS.c.user_id == key)).scalar()
    return found


def names(connection: Connection) -> dict[str, str | None]:
    rows = connection.execute(select(_USERS.c.user_id, _USERS.c.name).where(_USERS.c.user_id.like("load|%")))
    return {row.user_id: row.name for row in rows}


def tickets(connection: Connection) -> set[str]:
    return set(connection.execute(select(_TICKETS.c.digest).where(_TICKETS.c.kind == "load")).scalars())


def _user(key: str) -> dict[str, object]:
    return {"user_id": key, "name": key, "created_at": 1, "updated_at": 1}


@dataclass(slots=True)
class Load:
    """`expected` is what was acknowledged; `failures` what was refused although nobody did anything wrong."""

    expected: dict[str, str | None] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    writes: int = 0
    reads: int = 0
    slowest: float = 0.0
    pause: float = 0.0
    stop: bool = False

    async def write(self, database: Database, writer: str) -> None:
        number = 0
        while not self.stop:
            number += 1
            key = f"load|{writer}|{number}"
            await self._acknowledged(key, key, database.write(add, key))
            self.made.add(key)
            if number % 3 == 0:
                await self._acknowledged(key, f"new {key}", database.write(rename, key, f"new {key}"))
            if number % 7 == 0:
                await self._acknowledged(key, None, database.write(remove, key))
            if await database.read(name_of, key) != self.expected.get(key):
                self.stale.append(key)
            await asyncio.sleep(self.pause)

    async def read(self, database: Database) -> None:
        while not self.stop:
            try:
                await database.read(name_of, "filled|000001")
            except BaseException as error:
                self.failures.append(error)
            self.reads += 1
            await asyncio.sleep(0.005)

    async def _acknowledged(self, key: str, value: str | None, write: Awaitable[str]) -> None:
        began = monotonic()
        try:
            await write
        except BaseException as error:
            self.failures.append(error)
            return
        self.writes += 1
        self.slowest = max(self.slowest, monotonic() - began)
        if value is None:
            self.expected.pop(key)
        else:
            self.expected[key] = value

    async def check(self, database: Database) -> None:
        """Every acknowledged write is there, once, and nothing else."""
        assert self.failures == [], self.failures
        assert self.stale == []
        assert await database.read(names) == self.expected
        assert await database.read(tickets) == self.made


@asynccontextmanager
async def under_load(
    platform: Platform,
    tenant_id: str,
    *,
    writers: int = 4,
    readers: int = 2,
    prefix: str = "0",
    pause: float = 0.005,
) -> AsyncIterator[Load]:
    """Each holds the handle that it got at first, as a request does."""
    tenant = await platform.directory.by_id(tenant_id)
    assert tenant is not None
    load = Load(pause=pause)
    tasks = [
        asyncio.create_task(load.write(tenant.database, f"{prefix}.{number}")) for number in range(writers)
    ]
    tasks += [asyncio.create_task(load.read(tenant.database)) for _ in range(readers)]
    try:
        await asyncio.sleep(0.3)
        yield load
        await asyncio.sleep(0.3)
    finally:
        load.stop = True
        await asyncio.gather(*tasks)
