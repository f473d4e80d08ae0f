"""Who of the processes on this machine is alive: each holds a lock on a file of its own, which the kernel frees.

So what a killed process had claimed is taken over at once instead of at the end of its lease.
"""

import fcntl
import os
import secrets
from pathlib import Path
from typing import Self

from core.settings import Settings


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "workers"


class Presence:
    def __init__(self, settings: Settings) -> None:
        folder = _folder(settings)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.owner = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = folder / self.owner
        self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_alive(settings: Settings, owner: str) -> bool:
    path = _folder(settings) / Path(owner).name
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(lock)


def somebody_else_is_alive(settings: Settings, owner: str) -> bool:
    return any(is_alive(settings, path.name) for path in _folder(settings).iterdir() if path.name != owner)
