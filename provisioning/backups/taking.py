"""Taking one backup: snapshot while the tenant serves, verify, seal, read it back, tell the registry.

The file is whole under its name before the row appears; a crash in between leaves a file that the same backup's next
try replaces, or that the next claim of its schedule removes.
"""

import os
from pathlib import Path
from time import time_ns

import msgspec

from controlplane.registry.backups import REGISTRY, BackupRecord
from controlplane.registry.tenants import RegisteredTenant
from core.crypto.sealing import DataKey
from core.database import DatabaseRef, files_of
from core.database.private import existing_file
from core.errors import Conflict, InvalidInput
from core.failpoints import failpoint
from provisioning.backends import KeepsThePast
from provisioning.backups.stored import Heading, digest_of, read_backup, write_backup
from provisioning.backups.verifying import verify, verify_registry
from provisioning.converge import data_key_of
from provisioning.drafts import workplace
from provisioning.fence import clear_copy
from provisioning.parts import Parts
from provisioning.registry_place import file_ref

PURPOSE = "backups"
SETTLED_NS = 2_000_000_000
"""A file written later than this ago may be written again without its time telling."""


def location_of(owner: str, backup_id: str) -> str:
    folder = "registry" if owner == REGISTRY else f"tenants/{owner}"
    return f"{folder}/{backup_id}.backup"


def path_of(parts: Parts, backup: BackupRecord) -> Path:
    if backup.node is not None and backup.node != parts.settings.node:
        raise Conflict(f"The backup lies on the node {backup.node}.", code="backup_elsewhere")
    return parts.settings.backup_folder / backup.location


def key_of(data_key: DataKey) -> bytes:
    """Destroyed with the tenant's data key: so are its backups."""
    return data_key.derive(PURPOSE)


def take(
    parts: Parts, tenant: RegisteredTenant, backup_id: str, kind: str, as_of: int | None = None
) -> BackupRecord:
    """As it is now, or as it was at a moment that its back end remembers. Blocks: for threads."""
    taken_at, data_key = as_of or parts.now(), data_key_of(parts, tenant)
    with workplace(parts, backup_id) as folder:
        copy = DatabaseRef(
            path=folder / "copy.db",
            owner=tenant.id,
            incarnation=tenant.incarnation,
            generation=tenant.generation,
        )
        if as_of is None:
            parts.backend(tenant.backend).snapshot(parts.ref(tenant), copy.file)
        else:
            past_of(parts, tenant).snapshot_as_of(parts.ref(tenant), as_of, copy.file)
        failpoint("backup.snapshot.after")
        with existing_file(copy.file) as connection:
            clear_copy(connection)
        schema_version = verify(parts, copy, data_key)
        heading = Heading(
            id=backup_id,
            owner=tenant.id,
            taken_at=taken_at,
            backend=tenant.backend,
            incarnation=tenant.incarnation,
            generation=tenant.generation,
            schema_version=schema_version,
            size=copy.file.stat().st_size,
            digest=digest_of(copy.file),
        )
        return _stored(parts, heading, key_of(data_key), folder, kind)


def past_of(parts: Parts, tenant: RegisteredTenant) -> KeepsThePast:
    backend = parts.backend(tenant.backend)
    if not isinstance(backend, KeepsThePast):
        raise InvalidInput(f"The backend {backend.name} does not remember what a database held before.")
    return backend


def take_registry(parts: Parts, backup_id: str, kind: str) -> BackupRecord:
    """Of a registry in a file; PostgreSQL's own tools copy one that is there."""
    taken_at, source = parts.now(), file_ref(parts.settings)
    with workplace(parts, backup_id) as folder:
        copy = DatabaseRef(path=folder / "copy.db", owner=source.owner, incarnation="")
        parts.backend("sqlite").snapshot(source, copy.file)
        schema_version = verify_registry(parts, copy)
        heading = Heading(
            id=backup_id,
            owner=REGISTRY,
            taken_at=taken_at,
            backend="sqlite",
            incarnation="",
            generation=1,
            schema_version=schema_version,
            size=copy.file.stat().st_size,
            digest=digest_of(copy.file),
        )
        return _stored(parts, heading, parts.key.derive(PURPOSE), folder, kind)


def _stored(parts: Parts, heading: Heading, key: bytes, folder: Path, kind: str) -> BackupRecord:
    location = location_of(heading.owner, heading.id)
    path = parts.settings.backup_folder / location
    digest = write_backup(path, key, heading, folder / "copy.db")
    failpoint("backup.stored.after")
    read_backup(path, key, folder / "read-back.db")
    return BackupRecord(
        **{name: getattr(heading, name) for name in _SAME},
        kind=kind,
        stored_size=path.stat().st_size,
        digest=digest,
        location=location,
        node=_node(parts),
        verified_at=parts.now(),
    )


_SAME = tuple(name for name in Heading.__struct_fields__ if name != "digest")


def _node(parts: Parts) -> str | None:
    """Whose the folder is: with several nodes, one in the data folder is this machine's alone."""
    settings = parts.settings
    is_own = settings.backup_folder.is_relative_to(settings.data_dir)
    return settings.node if settings.registry_url is not None and is_own else None


def stamp_of(ref: DatabaseRef) -> str | None:
    """How a file looks before it is copied: length and time of the database and of its log. None when that says
    nothing: it is no file, or was written a moment ago. The file itself is never opened for this: closing it would
    drop SQLite's locks."""
    if ref.path is None:
        return None
    main, wal = (_looks(path) for path in files_of(ref.path)[:2])
    if main is None or time_ns() - max(main[0], wal[0] if wal else 0) < SETTLED_NS:
        return None
    return msgspec.json.encode((ref.generation, main, wal)).decode()


def _looks(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return (found.st_mtime_ns, found.st_size) if found.st_size else None
