"""The handle through which everything else uses a database."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from core.database.kinds import Bucket, Lane
from core.database.refs import DatabaseRef
from core.errors import DatabaseCrowded, WrongDatabase

if TYPE_CHECKING:
    from core.database.pool import Databases

P = ParamSpec("P")
T = TypeVar("T")

RECHECK_SECONDS = 0.75
"""What another node has changed is seen within a second, also where nothing tells of it: the look takes time, too."""
KEPT_AT_MOST = 32
"""Different snapshots of one database; more means that somebody builds functions, which would fill the memory."""


@dataclass(slots=True)
class Kept:
    """A snapshot in memory. `token` is None if a COMMIT was in flight when it was read."""

    value: Any
    version: int
    token: bytes | None
    check_at: float


@dataclass(slots=True)
class Opened:
    """What a database has only while it is open; all of it goes when the pool closes it."""

    reader: Lane
    writer: Lane | None = None
    used_at: float = 0.0
    kept: dict[Callable[..., Any], Kept] = field(default_factory=dict)
    building: dict[Callable[..., Any], asyncio.Lock] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        return self.reader.idle and (self.writer is None or self.writer.idle)

    async def close(self) -> None:
        if self.writer is not None:
            await self.writer.close()
        await self.reader.close()


class Database:
    """One database of one owner. Costs nothing until used; opened and closed by the pool behind its back.

    A unit of work is a plain function of a connection and values. It is pure but for the connection, may be run
    twice, and ends no transaction: raise to undo, return to keep. When the tenant goes on in another database
    (a move, a restore), the unit runs there: who holds the handle does not notice.
    """

    __slots__ = ("__weakref__", "_pool", "bucket", "opened", "ref", "retired")

    def __init__(self, pool: "Databases", ref: DatabaseRef, bucket: Bucket) -> None:
        self._pool = pool
        self.bucket = bucket
        self.ref = ref
        self.opened: Opened | None = None
        self.retired = False

    def __repr__(self) -> str:
        return f"<Database of {self.ref.owner}, generation {self.ref.generation}>"

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit in a read transaction. It sees everything committed before this call, from any process."""
        try:
            value: T = await self._read(unit, args, kwargs)
        except WrongDatabase as error:
            return await self._pool.followed(self, error, lambda at: at._read(unit, args, kwargs))
        return value

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit in a transaction shared with others that wait; returns when it is on disk and visible."""
        try:
            value: T = await self._write(unit, args, kwargs)
        except WrongDatabase as error:
            value = await self._pool.followed(self, error, lambda at: at._write(unit, args, kwargs))
        self._pool.on_write(self.ref.owner)
        return value

    async def alone(self, unit: Callable[..., T], *args: Any, converge: bool = False, **kwargs: Any) -> T:
        """Run a unit in a transaction of its own: imports, and what converge does.

        `converge` lifts the protection of system entities inside this transaction.
        """
        how = {"alone": True, "converge": converge}
        try:
            value: T = await self._write(unit, args, kwargs, **how)
        except WrongDatabase as error:
            value = await self._pool.followed(self, error, lambda at: at._write(unit, args, kwargs, **how))
        self._pool.on_write(self.ref.owner)
        return value

    async def snapshot(self, build: Callable[..., T], *args: Any) -> T:
        """What `build(connection, *args)` makes of the configuration, from memory while it still holds.

        Give a module-level function that makes something immutable; the arguments matter only when it is built.
        """
        opened = self.opened
        if opened is not None:
            kept = opened.kept.get(build)
            if kept is not None and self._holds(kept):
                self._pool.touch(self, opened)
                value: T = kept.value
                return value
        try:
            return await self._rebuild(build, args)
        except WrongDatabase as error:
            return await self._pool.followed(self, error, lambda at: at._rebuild(build, args))

    def kept(self, build: Callable[..., T]) -> T | None:
        """What `snapshot` would answer without asking the database."""
        opened = self.opened
        kept = opened.kept.get(build) if opened is not None else None
        if opened is None or kept is None or not self._holds(kept):
            return None
        self._pool.touch(self, opened)
        value: T = kept.value
        return value

    async def _read(self, unit: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Here, and nowhere else; as `_write` does."""
        opened = self.opened
        if opened is None or opened.reader.broken:
            opened = await self._pool.opened(self)
        self._pool.touch(self, opened)
        try:
            return await opened.reader.submit(unit, args, kwargs)
        except DatabaseCrowded as error:  # before anything was done
            await self._pool.take_place_of_another(self, error)
        return await self._read(unit, args, kwargs)

    async def _write(
        self, unit: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], **how: bool
    ) -> Any:
        writer = await self._writer()
        try:
            return await writer.submit(unit, args, kwargs, **how)
        except DatabaseCrowded as error:
            await self._pool.take_place_of_another(self, error)
        return await self._write(unit, args, kwargs, **how)

    async def _writer(self) -> Lane:
        opened = self.opened
        if opened is None or opened.writer is None or opened.writer.broken:
            opened = await self._pool.opened(self, writing=True)
        self._pool.touch(self, opened)
        assert opened.writer is not None
        return opened.writer

    def _holds(self, kept: Kept) -> bool:
        return kept.token == self.bucket.value() and monotonic() < kept.check_at

    async def _rebuild(self, build: Callable[..., T], args: tuple[Any, ...]) -> T:
        """One at a time; who waited looks again, because what was built may be older than its own question."""
        opened = self.opened or await self._pool.opened(self)
        async with opened.building.setdefault(build, asyncio.Lock()):
            kept = opened.kept.get(build)
            if kept is not None and self._holds(kept):
                known: T = kept.value
                return known
            before = self.bucket.value()  # before the database, never after
            value: T
            value, version = await self._read(_renew, (self.ref.roll.select_version, build, args, kept), {})
            if len(opened.kept) >= KEPT_AT_MOST:
                opened.kept.clear()
            token = self.bucket.token(before, version)
            opened.kept[build] = Kept(value, version, token, monotonic() + RECHECK_SECONDS)
            return value


def _renew(
    conn: Connection, select_version: str, build: Callable[..., T], args: tuple[Any, ...], kept: Kept | None
) -> tuple[T, int]:
    version = int(conn.exec_driver_sql(select_version).scalar_one())
    if kept is not None and kept.version == version:
        return kept.value, version
    return build(conn, *args), version
