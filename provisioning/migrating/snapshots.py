"""A tenant's database as it was before its migration: in the format of backups, sealed with the tenant's own key.

In the folder `snapshots` of the machine that migrated it, until its time is over. Destroying the tenant's data key
destroys them.
"""

import secrets
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from controlplane.registry.tenants import RegisteredTenant
from core.crypto.sealed_files import PIECE
from core.crypto.sealing import DataKey
from core.settings import Settings
from provisioning.backups.stored import Heading, write_backup
from provisioning.backups.taking import key_of
from provisioning.drafts import workplace
from provisioning.parts import Parts


def folder_of(settings: Settings) -> Path:
    return settings.data_dir / "snapshots"


def take(parts: Parts, tenant: RegisteredTenant, data_key: DataKey, version: str) -> str:
    """Answers its name. Blocks: for threads."""
    folder = folder_of(parts.settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{tenant.id}.{tenant.generation}.{version}.{secrets.token_hex(4)}"
    with workplace(parts, name) as place:
        plain = place / "copy.db"
        parts.backend(tenant.backend).snapshot(parts.ref(tenant), plain)
        size, digest = _measured(plain)
        heading = Heading(
            id=name,
            owner=tenant.id,
            taken_at=parts.now(),
            backend=tenant.backend,
            incarnation=tenant.incarnation,
            generation=tenant.generation,
            schema_version=version,
            size=size,
            digest=digest,
        )
        write_backup(folder / name, key_of(data_key), heading, plain)
    return name


def sweep(settings: Settings, keep_seconds: float) -> int:
    """Delete what is older, also what a crash left behind; answers how many."""
    before, done = time.time() - keep_seconds, 0
    with suppress(FileNotFoundError):
        for path in folder_of(settings).iterdir():
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
                done += 1
    return done


def _measured(plain: Path) -> tuple[int, str]:
    found, size = sha256(), 0
    with plain.open("rb") as file:
        while part := file.read(PIECE):
            found.update(part)
            size += len(part)
    return size, found.hexdigest()
