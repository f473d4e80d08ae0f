"""One SQLite file per tenant: `tenants/<2 hex>/<id>.<generation>.db` in the data folder.

A file appears whole or not at all: written under a draft name, forced to disk, renamed, folder forced to disk. A
file is never opened or hashed here while somebody may have it open: closing it would drop SQLite's locks.
"""

import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from core.database import DatabaseRef, files_of
from core.database.fleet import backup
from core.database.kinds import Options
from core.errors import Conflict, DatabaseMissing
from core.failpoints import failpoint
from core.settings import Settings
from provisioning.backends import Place
from provisioning.backends.slug import Slug
from provisioning.backends.sqlite_header import FORMAT_VERSIONS, WAL
from provisioning.backends.template import OwnRows, Template


class SqliteBackend:
    name = "sqlite"
    is_local = True

    def __init__(self, settings: Settings) -> None:
        self._data = settings.data_dir
        self._quarantine = settings.data_dir / "quarantine"
        self._options = Options(synchronous=settings.synchronous, deadline=settings.write_deadline_seconds)

    def place(self, tenant_id: str, generation: int, region: str | None) -> Place:
        """A file is on this machine: a region is a note, and changes nothing."""
        slug = Slug(tenant_id)
        shard = sha256(slug.encode()).hexdigest()[:2]
        return Place(f"tenants/{shard}/{slug}.{generation}.db")

    def ref(self, place: Place, *, owner: str, incarnation: str, generation: int) -> DatabaseRef:
        return DatabaseRef(
            path=self._data / place.location, owner=owner, incarnation=incarnation, generation=generation
        )

    def exists(self, ref: DatabaseRef) -> bool:
        return ref.file.exists()

    def create(self, ref: DatabaseRef, template: Template, own_rows: OwnRows) -> None:
        write_whole(ref.file, template.image(ref.owner, ref.incarnation, own_rows))

    def delete(self, ref: DatabaseRef) -> None:
        """Renamed first: from then on nobody finds it, and what a crash leaves is known as rubbish."""
        self.set_aside(ref)
        failpoint("backend.delete.set_aside")
        for path in self._quarantine.glob(f"{ref.file.name}.*"):
            path.unlink(missing_ok=True)

    def set_aside(self, ref: DatabaseRef) -> None:
        main, *others = files_of(ref.file)
        if main.exists():
            self._quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = self._quarantine / f"{main.name}.{secrets.token_hex(4)}"
            wal = others[0]
            with suppress(FileNotFoundError):  # belongs to it: what was committed may stand there only
                wal.rename(target.with_name(f"{target.name}-wal"))
            main.rename(target)
            _sync_folder(main.parent)
        for path in others:
            path.unlink(missing_ok=True)

    def snapshot(self, ref: DatabaseRef, target: Path) -> None:
        backup(ref, self._options, target)

    def restore(self, ref: DatabaseRef, source: Path) -> None:
        if not source.exists():
            raise DatabaseMissing
        write_whole(ref.file, source.read_bytes())


def write_whole(path: Path, content: bytes) -> None:
    """All of it under its name, or nothing, and never over another."""
    _make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.seek(FORMAT_VERSIONS)
            file.write(WAL)
            file.flush()
            os.fsync(file.fileno())
        failpoint("backend.create.draft")
        os.link(draft, path)  # unlike rename, refuses to replace
    except FileExistsError:
        raise Conflict("A database lies where the new one would go.", code="database_exists") from None
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
