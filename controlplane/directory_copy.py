"""What this machine has seen of the directory, on its own disk: for when the registry is away, also at a start.

An entry is a sealed file of its own, bound to its name, so one put in another's place does not open. What was seen
later replaces what was seen earlier, whichever process saw it: a suspension that one has seen holds for all of this
machine. Nothing here says what a session or a token is worth: that is in the tenant's own database.
"""

import fcntl
import os
import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from controlplane.registry.hosts import Resolved
from controlplane.registry.installation import InstallationRow
from controlplane.registry.tenants import SERVING, RegisteredTenant
from core.crypto.sealing import InstallationKey, SealBroken
from core.ids import digest

T = TypeVar("T")

LARGEST = 8192
"""Entries; beyond, those go that were not seen for longest."""

LOOK_EVERY = 256
"""Writes of one process between two looks at how many there are."""

INSTALLATION = "installation"
TENANT_ONE = "one"
_NEWEST, _LOCK = ".newest", ".lock"
_NEVER_PUSHED_OUT = frozenset({INSTALLATION, TENANT_ONE, _NEWEST, _LOCK})


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it was at some version of the directory. Without a tenant: the host was nobody's any more."""

    version: int
    tenant: RegisteredTenant | None = None
    origins: tuple[tuple[str, str], ...] = ()
    primary: str | None = None
    host: str | None = None

    @property
    def resolved(self) -> Resolved | None:
        return Resolved(self.tenant, self.origins, self.primary) if self.tenant is not None else None


def seen(version: int, resolved: Resolved | None, host: str | None) -> Seen:
    """Of a tenant that is not served nothing is kept that opens anything: its key may be destroyed at any time."""
    if resolved is None:
        return Seen(version=version)
    tenant = resolved.tenant
    if tenant.state not in SERVING:
        tenant = msgspec.structs.replace(tenant, wrapped_key=None, credentials=None)
    return Seen(version=version, tenant=tenant, origins=resolved.origins, primary=resolved.primary, host=host)


class DirectoryCopy:
    """All of it blocks for a moment: for threads. A full or broken disk is no reason to refuse anybody."""

    def __init__(self, folder: Path, key: InstallationKey) -> None:
        self._folder = folder
        self._key = key
        self._puts = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, entry: Seen) -> None:
        if entry.tenant is None and not self._path(name).exists():
            return  # a stranger's host
        with suppress(OSError), self._alone():
            known = self.find(name)
            if known is None or known.version <= entry.version:
                self._write(name, msgspec.msgpack.encode(entry))
                self._note_newest(entry.version)
        self._push_out()

    def begin_anew_before(self, version: int) -> None:
        """A registry of an older version than was seen has been restored: nothing that was seen holds any more."""
        with suppress(OSError), self._alone():
            if self._newest() <= version:
                return
            for entry in os.scandir(self._folder):
                if entry.name != _LOCK:
                    os.unlink(entry.path)

    def forget(self, tenants: Collection[str]) -> None:
        """Whose keys are destroyed: their entries hold them, sealed with a key that is not."""
        with suppress(OSError), self._alone():
            for path in self._folder.iterdir():
                entry = None if path.name in _NEVER_PUSHED_OUT else self._opened(path, Seen)
                if entry is not None and entry.tenant is not None and entry.tenant.id in tenants:
                    path.unlink()

    def find(self, name: str) -> Seen | None:
        return self._read(name, Seen)

    def put_installation(self, row: InstallationRow) -> None:
        with suppress(OSError):
            self._write(INSTALLATION, msgspec.msgpack.encode(row))

    def installation(self) -> InstallationRow | None:
        return self._read(INSTALLATION, InstallationRow)

    def _read(self, name: str, type_: type[T]) -> T | None:
        """None as well for what an earlier release wrote differently, or another key sealed."""
        return self._opened(self._path(name), type_)

    def _opened(self, path: Path, type_: type[T]) -> T | None:
        try:
            content = self._key.open(_purpose(path), path.read_bytes())
            return msgspec.msgpack.decode(content, type=type_)
        except (OSError, SealBroken, msgspec.DecodeError):
            return None

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all; after a power cut perhaps not there, which costs nothing but what it is for."""
        path, draft = self._path(name), self._folder / f".{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._key.seal(_purpose(path), content))
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _note_newest(self, version: int) -> None:
        if version > self._newest():
            (self._folder / _NEWEST).write_text(str(version))

    def _newest(self) -> int:
        try:
            return int((self._folder / _NEWEST).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _push_out(self) -> None:
        self._puts += 1
        if self._puts % LOOK_EVERY:
            return
        with suppress(OSError):
            kept = [entry for entry in os.scandir(self._folder) if entry.name not in _NEVER_PUSHED_OUT]
            kept.sort(key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
            for entry in kept[LARGEST:]:
                os.unlink(entry.path)

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """Among the processes of this machine: an earlier view must not replace a later one."""
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _path(self, name: str) -> Path:
        return self._folder / (name if name in _NEVER_PUSHED_OUT else digest(name))


def _purpose(path: Path) -> str:
    return f"copy of the directory: {path.name}"
