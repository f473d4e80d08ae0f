"""What a kind of database is to the pool: how it is opened, and what says that memory still holds.

SQLite files, libSQL over Hrana and PostgreSQL are kinds. A unit of work does not know which one it runs on.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy import Connection

from core.database.plain import Plain
from core.database.refs import DatabaseRef

Synchronous = Literal["FULL", "NORMAL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`deadline` bounds, in seconds, how long a unit may wait for its turn."""

    synchronous: Synchronous
    deadline: float


class Lane(Protocol):
    """Where units wait for their turn, and are run one after the other or few at a time."""

    @property
    def idle(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def submit(
        self,
        unit: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        alone: bool = False,
        converge: bool = False,
    ) -> "asyncio.Future[Any]":
        """Never waits. `DatabaseBusy` when too many wait already."""

    async def close(self) -> None:
        """Finish what was submitted, then close. Nothing may be submitted any more."""


class Bucket(Protocol):
    """Does what was read at some version still hold? `value` is compared, nothing else is known of it."""

    def value(self) -> bytes: ...

    def token(self, before: bytes, version: int) -> bytes | None:
        """Under which value something may be kept that was read at `version`, when `value` was `before`; None if
        a writer may have been at work meanwhile."""


class Held(Protocol):
    """A connection with an open transaction, in the thread that asked for it."""

    @property
    def connection(self) -> Connection: ...

    @property
    def plain(self) -> Plain | None:
        """The driver's own connection for texts with `?` places; None where there is no such thing."""


class Kind(Protocol):
    def bucket(self, ref: DatabaseRef) -> Bucket: ...

    async def open_reader(
        self, ref: DatabaseRef, options: Options, bucket: Any, on_idle: Callable[[], None]
    ) -> Lane: ...

    async def open_writer(
        self, ref: DatabaseRef, options: Options, bucket: Any, on_idle: Callable[[], None]
    ) -> Lane: ...

    def exclusive(
        self, ref: DatabaseRef, options: Options, bucket: Any, *, converge: bool, foreign_keys: bool
    ) -> AbstractContextManager[Held]:
        """One writing transaction for a thread: identity checked, committed at the end, undone by an exception."""

    def read_only(self, ref: DatabaseRef, options: Options) -> AbstractContextManager[Connection]:
        """One read transaction for a thread."""

    def close(self) -> None: ...
