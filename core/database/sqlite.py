"""The one way to open a SQLite file: never creates it, checks whose it is, sets the pragmas, installs the guard."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from core.database.engine import UnitConnection
from core.database.faults import UnitBroken, told
from core.database.kinds import Synchronous
from core.database.plain import Plain
from core.database.refs import DatabaseRef
from core.database.turnstile import lock_files
from core.errors import DatabaseCorrupt, DatabaseMissing, DatabaseUnavailable, WrongDatabase

# The lane's own statements carry a comment: sqlite3 keeps prepared statements by their text, and a unit that says
# COMMIT must meet the authorizer, not the lane's prepared statement.
BEGIN_READ = "BEGIN -- lane"
BEGIN_WRITE = "BEGIN IMMEDIATE -- lane"
COMMIT = "COMMIT -- lane"
ROLLBACK = "ROLLBACK -- lane"
SAVEPOINT = "SAVEPOINT unit_of_work -- lane"
UNDO = "ROLLBACK TO unit_of_work -- lane"
RELEASE = "RELEASE unit_of_work -- lane"

_DENIED = frozenset({sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


class Guard:
    """The authorizer: while a unit runs, nobody may begin or end the transaction, nor touch the lane's savepoint."""

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active = False

    def __call__(self, action: int, _first: str | None, name: str | None, *_: str | None) -> int:
        if not self.active:
            return sqlite3.SQLITE_OK
        if action in _DENIED or (action == sqlite3.SQLITE_SAVEPOINT and name == "unit_of_work"):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK


@dataclass(slots=True)
class OpenFile:
    """One open connection, as its own thread sees it. SQLAlchemy's is made, and guarded, when it is asked for."""

    ref: DatabaseRef
    driver: sqlite3.Connection
    inode: tuple[int, int]
    guard: Guard = field(default_factory=Guard)
    _units: UnitConnection | None = None

    @property
    def connection(self) -> Connection:
        if self._units is None:
            self.driver.set_authorizer(self.guard)
            self._units = UnitConnection(self.driver)
        return self._units.connection

    @property
    def plain(self) -> Plain:
        """Beside it, without the guard: for text that is known."""
        return Plain(self.driver)

    def call(
        self, unit: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        """Run one unit under the guard and leave SQLAlchemy's idea of the transaction as it was."""
        self.guard.active = True
        try:
            value = unit(self.connection, *args, **kwargs)
        finally:
            self.guard.active = False
            tidy = self.tidy()
        if not tidy:
            raise UnitBroken
        return value

    def tidy(self) -> bool:
        """Whether SQLAlchemy's idea of the transaction is still the lane's; afterwards it is."""
        return self.driver.in_transaction if self._units is None else self._units.tidy()

    def config_version(self) -> int:
        row = self.driver.execute(self.ref.roll.select_version).fetchone()
        return int(row[0]) if row else -1

    def check_place(self) -> None:
        """Refuse to work on a file that is no longer the one at its path: it was moved away or replaced."""
        if _inode(self.ref.file) != self.inode:
            raise WrongDatabase

    def abandon(self) -> None:
        """Undo whatever transaction is left."""
        if self.driver.in_transaction:
            self.driver.execute(ROLLBACK)

    def close(self) -> None:
        with suppress(DBAPIError, sqlite3.Error):
            self.abandon()  # an open cursor would otherwise keep transaction and lock alive behind the close
            if self._units is not None:
                self._units.close()
        self.driver.close()


def open_file(
    ref: DatabaseRef,
    *,
    writes: bool,
    synchronous: Synchronous = "FULL",
    busy_seconds: float = 5.0,
    foreign_keys: bool = True,
) -> OpenFile:
    inode = _inode(ref.file)
    try:
        driver = sqlite3.connect(
            f"{ref.file.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=busy_seconds,
            cached_statements=128,
        )
    except sqlite3.Error as error:
        raise _unopened(ref.file) from error
    try:
        _check_identity(driver, ref)
        _set_pragmas(driver, writes=writes, synchronous=synchronous, foreign_keys=foreign_keys)
        return OpenFile(ref, driver, inode)
    except sqlite3.Error as error:
        driver.close()
        raise told(error) from error
    except BaseException:
        driver.close()
        raise


def files_of(database: Path) -> tuple[Path, ...]:
    """Everything that may lie on disk for one database: for deletion, and for nothing else while it is open."""
    return (
        database,
        *(database.with_name(database.name + end) for end in ("-wal", "-shm")),
        *lock_files(database),
    )


def _inode(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise DatabaseMissing from None
    except OSError as error:
        raise DatabaseUnavailable from error
    return found.st_dev, found.st_ino


def _unopened(path: Path) -> DatabaseUnavailable:
    return DatabaseUnavailable() if path.exists() else DatabaseMissing()


def _check_identity(driver: sqlite3.Connection, ref: DatabaseRef) -> None:
    """Before anything else, so that a file which is not ours is not even switched to WAL."""
    try:
        row = driver.execute(ref.roll.select_identity).fetchone()
    except sqlite3.OperationalError as error:
        if (
            error.sqlite_errorcode == sqlite3.SQLITE_ERROR
        ):  # no such table: empty, cut short, or not ours at all
            raise DatabaseCorrupt from error
        raise
    if row is None:
        raise DatabaseCorrupt
    ref.check(*row)


def _set_pragmas(
    driver: sqlite3.Connection, *, writes: bool, synchronous: Synchronous, foreign_keys: bool
) -> None:
    if writes:
        driver.execute("PRAGMA journal_mode=WAL")
    driver.execute(f"PRAGMA synchronous={synchronous}")
    driver.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    driver.execute("PRAGMA cache_size=-2000")
    if not writes:
        driver.execute("PRAGMA query_only=ON")
