"""One database at a time, from a plain thread: what is done to the whole fleet, migrations and copies.

Opening a connection for one transaction is four times as fast as a lane (`specs/databases.md` section 3.5), and
passes the same identity check, turnstile and generation as a lane does.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from core.database import sqlite
from core.database.faults import UnitBroken, is_busy, told
from core.database.generations import Bucket
from core.database.group import CommitRefused, commit
from core.database.kinds import Options
from core.database.refs import DatabaseRef
from core.database.turnstile import Turnstile
from core.errors import DatabaseBusy, OutcomeUnknown


@contextmanager
def exclusive(
    ref: DatabaseRef, options: Options, bucket: Bucket, *, converge: bool, foreign_keys: bool
) -> Generator[sqlite.OpenFile, None, None]:
    file = sqlite.open_file(
        ref,
        writes=True,
        synchronous=options.synchronous,
        busy_seconds=options.deadline,
        foreign_keys=foreign_keys,
    )
    try:
        with _turn(ref, options.deadline):
            _begin(file)
            seen = file.config_version()
            with _guarded(file):
                if converge:
                    file.driver.execute(ref.roll.start_converging)
                file.guard.active = True
                yield file
                file.guard.active = False
                if not file.tidy():
                    raise UnitBroken
                if converge:
                    file.driver.execute(ref.roll.stop_converging)
            _commit(file, bucket, seen)
    finally:
        file.close()


@contextmanager
def read_only(ref: DatabaseRef, options: Options) -> Generator[Connection, None, None]:
    file = sqlite.open_file(ref, writes=False, synchronous=options.synchronous, busy_seconds=options.deadline)
    try:
        with _guarded(file):
            file.driver.execute(sqlite.BEGIN_READ)
            file.guard.active = True
            yield file.connection
    finally:
        file.close()


def backup(ref: DatabaseRef, options: Options, target: Path) -> None:
    """SQLite's own online copy. The file is never read by other means: closing it would drop SQLite's locks. The copy
    is a draft, which no crash needs to find: nothing forces it to disk."""
    source = sqlite.open_file(
        ref, writes=False, synchronous=options.synchronous, busy_seconds=options.deadline
    )
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _copy(source.driver, target)
    except sqlite3.Error as error:
        target.unlink()
        raise told(error) from error
    finally:
        source.close()


def _copy(source: sqlite3.Connection, target: Path) -> None:
    copy = sqlite3.connect(target)
    try:
        copy.execute("PRAGMA synchronous=OFF")
        copy.execute("PRAGMA journal_mode=OFF")
        source.backup(copy, pages=-1)
    finally:
        copy.close()


@contextmanager
def _turn(ref: DatabaseRef, deadline: float) -> Generator[None, None, None]:
    turnstile = Turnstile(ref.file)
    try:
        turnstile.enter_within(deadline)
        try:
            yield
        finally:
            turnstile.leave()
    finally:
        turnstile.close()


def _begin(file: sqlite.OpenFile) -> None:
    file.check_place()
    try:
        file.driver.execute(sqlite.BEGIN_WRITE)
    except sqlite3.OperationalError as error:
        raise (DatabaseBusy() if is_busy(error) else told(error)) from error


@contextmanager
def _guarded(file: sqlite.OpenFile) -> Generator[None, None, None]:
    try:
        yield
    except Exception as error:
        raise told(error) from error.__cause__
    finally:
        file.guard.active = False


def _commit(file: sqlite.OpenFile, bucket: Bucket, seen: int) -> None:
    try:
        commit(file, bucket, seen)
    except CommitRefused as refused:
        raise told(refused.__cause__ or refused) from refused
    except Exception as error:
        raise OutcomeUnknown from error
