"""Who is alive. Each process of this machine holds a lock on a file of its own, which the kernel frees; so what a
killed process had claimed is taken over at once instead of at the end of its lease.

The owner of a lease is `<node>.<process>`. Of another machine's processes nothing can be seen from here: what they
hold is theirs until the lease ends.
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
        self.owner = f"{settings.node}.{os.getpid()}-{secrets.token_hex(6)}"
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


def is_dead(settings: Settings, owner: str) -> bool:
    """Certainly: a process of this machine that has ended."""
    return _is_of_this_machine(settings, owner) and not _holds_its_lock(_folder(settings) / Path(owner).name)


def somebody_else_is_alive(settings: Settings, owner: str) -> bool:
    """On this machine."""
    return any(path.name != owner and _holds_its_lock(path) for path in _folder(settings).iterdir())


def anybody_is_alive(settings: Settings) -> bool:
    """On this machine, whoever asks not counted: it has not said so yet."""
    return _folder(settings).exists() and somebody_else_is_alive(settings, "")


def folder_identity(settings: Settings) -> str:
    """Made once in each data folder: tells two machines of one name apart."""
    path = settings.data_dir / "node"
    draft = path.with_name(f".node.{secrets.token_hex(8)}")
    draft.write_text(secrets.token_hex(16))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()


def _is_of_this_machine(settings: Settings, owner: str) -> bool:
    """With a registry that is a file, everybody is."""
    return settings.registry_url is None or owner.rpartition(".")[0] == settings.node


def _holds_its_lock(path: Path) -> bool:
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
