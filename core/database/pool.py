"""All databases of one process: at most so many open, each opened once, none closed while in use."""

import asyncio
import resource
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Self, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from core.database.database import Database, Opened
from core.database.engine import shared
from core.database.files import Files
from core.database.kinds import Held, Kind, Options, Synchronous
from core.database.refs import TENANT, DatabaseRef
from core.errors import DatabaseBusy, DatabaseCrowded, DatabaseMoved, DatabaseUnavailable, WrongDatabase

FILES_PER_DATABASE = 8
"""Two connections share one -shm: five descriptors, two more for the turnstile, one for the moment of closing."""
SPARE_FILES = 128
FOLLOWING_SECONDS = 0.01
FENCED_SECONDS = 0.2
"""How often the pointer is looked at, and how often a fenced database is asked again."""
GIVEN_BACK_SECONDS = 1.0
"""Within which a server has seen that a connection was closed."""
CLOSING_AT_ONCE = 8
CLOSING_SECONDS = 10.0


T = TypeVar("T")
Follow = Callable[[str], Awaitable[Database | None]]
"""From an owner to its database, as the pointer says now."""


class Databases:
    """The pool. Belongs to the event loop that first uses it; `exclusive` and `read_only` are for threads."""

    def __init__(
        self,
        data_dir: Path,
        *,
        max_open: int = 300,
        idle_seconds: float = 300.0,
        synchronous: Synchronous = "FULL",
        write_deadline: float = 5.0,
        kinds: Mapping[str, Kind] | None = None,
    ) -> None:
        """`kinds` are what can be opened beside files."""
        self._limit = max(1, min(max_open, (_raise_file_limit() - SPARE_FILES) // FILES_PER_DATABASE))
        self._idle_seconds = idle_seconds
        self._options = Options(synchronous=synchronous, deadline=write_deadline)
        self._kinds: dict[str, Kind] = {"sqlite": Files(data_dir / "generations"), **(kinds or {})}
        self._current: WeakValueDictionary[str, Database] = WeakValueDictionary()
        self._newest: dict[str, int] = {}
        self._order: OrderedDict[Database, Opened] = OrderedDict()
        self._opening: dict[Database, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._reserved = 0
        self._gave_way_at = -GIVEN_BACK_SECONDS
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._follow: Follow | None = None
        self.on_write: Callable[[str], None] = _nobody_asks
        """Told the owner after each commit of this process, whatever it wrote. Quick, and never raises."""
        shared()

    def follow(self, pointer: Follow) -> None:
        """How to find out where a tenant's database is by now."""
        self._follow = pointer

    def open(self, ref: DatabaseRef) -> Database:
        """The handle for this pointer; nothing is opened yet. Older handles of the same owner end here."""
        known = self._current.get(ref.owner)
        if known is not None and known.ref == ref and not known.retired:
            return known
        self._check_newest(ref)
        if known is not None:
            self._retire(known)
        self._newest[ref.owner] = ref.generation
        handle = Database(self, ref, self._kind(ref).bucket(ref))
        self._current[ref.owner] = handle
        return handle

    async def forget(self, ref: DatabaseRef) -> None:
        """Close it and refuse its handles from now on: its file is about to be deleted, replaced or moved."""
        handle = self._current.get(ref.owner)
        if handle is None or handle.ref != ref:
            return
        opening = self._opening.get(handle)
        closing = self._retire(handle)
        for task in (opening, closing):
            if task is not None:
                with suppress(Exception):
                    await asyncio.shield(task)

    def is_open(self, ref: DatabaseRef) -> bool:
        handle = self._current.get(ref.owner)
        return handle is not None and handle.ref == ref and handle.opened is not None

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return self._kinds

    @property
    def open_count(self) -> int:
        return len(self._order)

    @contextmanager
    def exclusive(
        self, ref: DatabaseRef, converge: bool = False, *, foreign_keys: bool = True
    ) -> Generator[Connection, None, None]:
        """One transaction for a thread of the fleet, past the same checks and the same turnstile as a lane."""
        with self.exclusively(ref, converge, foreign_keys=foreign_keys) as held:
            yield held.connection

    def exclusively(
        self, ref: DatabaseRef, converge: bool = False, *, foreign_keys: bool = True
    ) -> AbstractContextManager[Held]:
        """The same with the driver's own connection beside, for what is done to thousands."""
        self._check_newest(ref)
        kind = self._kind(ref)
        return kind.exclusive(
            ref, self._options, kind.bucket(ref), converge=converge, foreign_keys=foreign_keys
        )

    def read_only(self, ref: DatabaseRef) -> AbstractContextManager[Connection]:
        self._check_newest(ref)
        return self._kind(ref).read_only(ref, self._options)

    async def close(self) -> None:
        """Finish what is running, close everything. A lane that a stopped process blocks is left behind."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in list(self._opening.values()):
            with suppress(Exception):
                await asyncio.shield(task)
        for handle in list(self._order):
            self._retire(handle)
        if self._closing:
            _, stuck = await asyncio.wait(self._closing, timeout=CLOSING_SECONDS)
            for task in stuck:
                task.cancel()
        for kind in self._kinds.values():
            kind.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- for handles -----------------------------------------------------------------------------------------

    def touch(self, handle: Database, opened: Opened) -> None:
        opened.used_at = monotonic()
        self._order.move_to_end(handle)

    async def opened(self, handle: Database, *, writing: bool = False) -> Opened:
        """What the handle may use right now, without another wait in between."""
        while True:
            if self._closed:
                raise DatabaseUnavailable
            if handle.retired:
                raise WrongDatabase
            opened = handle.opened
            if opened is not None and _is_usable(opened, writing):
                return opened
            if opened is not None and _is_broken(opened):
                self._let_go(handle)
            await self._open_once(handle, writing)

    async def take_place_of_another(self, handle: Database, error: DatabaseCrowded) -> None:
        """Whoever was not asked for longest gives back its connections to a server that has none left. The server
        takes a moment to see that they are gone."""
        unused = (each for each in self._order if each is not handle and each.ref.kind == handle.ref.kind)
        victim = next((each for each in unused if self._may_close(each)), None)
        if victim is not None:
            self._gave_way_at = monotonic()
            await asyncio.wait([self._put_away(victim)])
        elif monotonic() - self._gave_way_at > GIVEN_BACK_SECONDS:
            raise error
        await asyncio.sleep(FOLLOWING_SECONDS)

    async def followed(
        self, handle: Database, error: WrongDatabase, run: Callable[[Database], Awaitable[T]]
    ) -> T:
        """Run what this handle's database refused where the pointer leads; the refusal again when that is nowhere
        else. A fenced database is waited for: the pointer will leave it in a moment, or the fence will open."""
        until = monotonic() + self._options.deadline
        while monotonic() < until:
            handle = await self._successor(handle, error)
            try:
                return await run(handle)
            except WrongDatabase as again:
                error = again
        raise error

    async def _successor(self, handle: Database, error: WrongDatabase) -> Database:
        if self._follow is None or self._closed or handle.ref.roll is not TENANT:
            raise error
        again = monotonic() + FENCED_SECONDS
        while True:
            found = await self._follow(handle.ref.owner)
            if found is not None and found is not handle and not found.retired:
                return found
            if not isinstance(error, DatabaseMoved):
                raise error
            if monotonic() >= again:
                return handle
            await asyncio.sleep(FOLLOWING_SECONDS)

    # --- inside ----------------------------------------------------------------------------------------------

    def _kind(self, ref: DatabaseRef) -> Kind:
        kind = self._kinds.get(ref.kind)
        if kind is None:
            raise DatabaseUnavailable
        return kind

    def _check_newest(self, ref: DatabaseRef) -> None:
        if ref.generation < self._newest.get(ref.owner, ref.generation):
            raise WrongDatabase

    async def _open_once(self, handle: Database, writing: bool) -> None:
        task = self._opening.get(handle)
        if task is None or task.done():
            task = asyncio.create_task(self._open(handle, writing))
            self._opening[handle] = task
            task.add_done_callback(lambda done: self._opened_or_not(handle, done))
        await asyncio.shield(task)

    def _opened_or_not(self, handle: Database, done: "asyncio.Task[None]") -> None:
        if self._opening.get(handle) is done:
            del self._opening[handle]
        if not done.cancelled():
            done.exception()  # everybody who waited has it; nobody may have waited
        if self._waiting:  # those who opened it go first
            asyncio.get_running_loop().call_later(0.01, self._serve_waiting)

    async def _open(self, handle: Database, writing: bool) -> None:
        opened = handle.opened
        if opened is None:
            opened = await self._open_reading(handle)
        if writing and opened.writer is None:
            await self._open_writing(handle, opened)
        if handle.retired and handle.opened is not None:
            self._let_go(handle)

    async def _open_writing(self, handle: Database, opened: Opened) -> None:
        kind = self._kind(handle.ref)
        writer = await kind.open_writer(handle.ref, self._options, handle.bucket, self._serve_waiting)
        if handle.opened is opened:
            opened.writer = writer
        else:  # put away meanwhile
            await writer.close()

    async def _open_reading(self, handle: Database) -> Opened:
        await self._make_room()
        try:
            kind = self._kind(handle.ref)
            reader = await kind.open_reader(handle.ref, self._options, handle.bucket, self._serve_waiting)
        except BaseException:
            self._reserved -= 1
            self._serve_waiting()
            raise
        self._reserved -= 1
        opened = Opened(reader, used_at=monotonic())
        handle.opened = opened
        self._order[handle] = opened
        self._sweep_later()
        return opened

    async def _make_room(self) -> None:
        """Returns with one place reserved. First come, first served: the busiest tenant starves nobody."""
        if not self._waiting and self._take_place():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.deadline):
                await waiter
        if not waiter.done() or waiter.cancelled():
            raise DatabaseBusy

    def _take_place(self) -> bool:
        if len(self._closing) >= CLOSING_AT_ONCE:
            return False
        if len(self._order) + self._reserved >= self._limit:
            victim = next((handle for handle in self._order if self._may_close(handle)), None)
            if victim is None:
                return False
            self._let_go(victim)
        self._reserved += 1
        return True

    def _serve_waiting(self) -> None:
        """Called whenever a lane comes to rest, if only for this moment."""
        while self._waiting:
            if not self._waiting[0].done() and not self._take_place():
                return
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _may_close(self, handle: Database) -> bool:
        return self._order[handle].idle and handle not in self._opening

    def _retire(self, handle: Database) -> "asyncio.Task[None] | None":
        handle.retired = True
        return self._put_away(handle) if handle.opened is not None else None

    def _let_go(self, handle: Database) -> None:
        self._closing.add(self._put_away(handle))

    def _put_away(self, handle: Database) -> "asyncio.Task[None]":
        """Take the lanes from the handle and close them when they are done; the next use opens new ones."""
        opened = self._order.pop(handle)
        handle.opened = None
        task = asyncio.create_task(opened.close())
        self._closing.add(task)
        task.add_done_callback(self._put_away_done)
        return task

    def _put_away_done(self, task: "asyncio.Task[None]") -> None:
        self._closing.discard(task)
        self._serve_waiting()

    def _sweep_later(self) -> None:
        if self._sweeper is None and not self._closed:
            wait = max(0.05, self._idle_seconds / 4)
            self._sweeper = asyncio.get_running_loop().call_later(wait, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        before = monotonic() - self._idle_seconds
        for handle, opened in list(self._order.items()):
            if opened.used_at > before:
                break
            if self._may_close(handle):
                self._let_go(handle)
        if self._order:
            self._sweep_later()


def _is_broken(opened: Opened) -> bool:
    return opened.reader.broken or (opened.writer is not None and opened.writer.broken)


def _is_usable(opened: Opened, writing: bool) -> bool:
    return not _is_broken(opened) and (opened.writer is not None or not writing)


def _nobody_asks(owner: str) -> None:
    """Nothing of this process follows what is written."""


def _raise_file_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
