"""A SQLite file that nobody else knows: a copy being written or read, never a database that serves."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from core.database.engine import connection_over


@contextmanager
def new_file(path: Path) -> Generator[Connection, None, None]:
    """One transaction in a file that does not exist yet: on disk afterwards, or gone. References are not enforced."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with _transaction(path) as connection:
            yield connection
        _sync(path)
        _sync(path.parent)
    except BaseException:
        path.unlink()
        raise


@contextmanager
def existing_file(path: Path) -> Generator[Connection, None, None]:
    """One transaction in a file that is there."""
    if not path.exists():
        raise FileNotFoundError(path)
    with _transaction(path) as connection:
        yield connection


@contextmanager
def _transaction(path: Path) -> Generator[Connection, None, None]:
    driver = sqlite3.connect(path, isolation_level=None)
    try:
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("BEGIN")
        yield connection_over(driver)
        driver.execute("COMMIT")
    finally:
        driver.close()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
