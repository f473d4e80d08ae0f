"""Two locks before a writer's transaction, so that several processes take turns on one file.

SQLite's own busy handler is unfair: while one process commits without pause another may wait for seconds. Who
waits at the door (`next`) goes before who has just left (`specs/stack.md` section 6b). The kernel frees the
locks of a process that dies.
"""

import fcntl
import os
import time
from pathlib import Path

from core.errors import DatabaseBusy

POLL_SECONDS = 0.0005


def lock_files(database: Path) -> tuple[Path, Path]:
    return database.with_name(database.name + "-next"), database.with_name(database.name + "-turn")


class Turnstile:
    """Open it in the process that uses it: a forked child would share its parent's locks."""

    def __init__(self, database: Path) -> None:
        first, second = lock_files(database)
        self._next = _open(first)
        try:
            self._main = _open(second)
        except BaseException:
            os.close(self._next)
            raise

    def enter(self) -> None:
        fcntl.flock(self._next, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._main, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def enter_within(self, seconds: float) -> None:
        """For threads that nobody watches from an event loop: gives up instead of waiting for ever."""
        until = time.monotonic() + seconds
        _poll(self._next, until)
        try:
            _poll(self._main, until)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def leave(self) -> None:
        fcntl.flock(self._main, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._next)
        os.close(self._main)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _poll(lock: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise DatabaseBusy from None
            time.sleep(POLL_SECONDS)
