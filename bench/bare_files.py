"""Floors of work on files: copying a tenant's database, and opening one, in the bench's own process."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

REPEATS = 30


def copy_floor_ms(data: Path, folder: Path) -> float:
    """CPU of a new database at its least: the bytes of one, written, synchronised, renamed."""
    content = _a_database(data).read_bytes()
    target = folder / "copy.db"

    def copy() -> None:
        partial = target.with_suffix(".new")
        with partial.open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        partial.rename(target)

    cost = _cpu_ms(copy)
    target.unlink()
    return cost


def open_floor_ms(data: Path, folder: Path) -> float:
    """CPU of asking a closed database one question: open, pragmas, whose it is, close."""
    target = folder / "open.db"
    shutil.copyfile(_a_database(data), target)

    def ask() -> None:
        connection = sqlite3.connect(target, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("SELECT * FROM tenant").fetchone()
        connection.close()

    return _cpu_ms(ask)


def _a_database(data: Path) -> Path:
    """The smallest file of a tenant: one that holds no more than every tenant does."""
    files = [
        path for path in data.rglob("*.db") if path.name != "registry.db" and path.stat().st_size > 100_000
    ]
    return min(files, key=lambda path: path.stat().st_size)


def _cpu_ms(act: Callable[[], None]) -> float:
    costs = []
    for _ in range(REPEATS):
        began = time.thread_time()
        act()
        costs.append((time.thread_time() - began) * 1000)
    return median(costs)
