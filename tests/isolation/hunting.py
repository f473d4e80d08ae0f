"""Looks for a tenant's word in everything that an installation and its servers write."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import generate_latest

from controlplane.registry.backups import list_backups
from controlplane.registry.tenants import get_tenant
from provisioning.backups.stored import read_backup
from provisioning.backups.taking import key_of, path_of
from provisioning.converge import data_key_of
from tests.engines.carried import ENGINES
from tests.engines.servers import postgresql_databases, server, superuser, written_for
from tests.installation import Installation
from tests.isolation.rows import all_rows, refs_of, rows_of


@dataclass(frozen=True)
class Hunt:
    installation: Installation
    engine: str | None

    async def elsewhere(self, word: str, tenant_id: str) -> list[str]:
        """Where the word is found that is not this tenant's own."""
        rows = await all_rows(self.installation, without=())
        found = [
            f"rows of {name}"
            for name, tables in rows.items()
            if not _is_of(tenant_id, Path(name).name) and word in str(tables)
        ]
        root = self.installation.app.settings.data_dir
        found += _files_with(word, root, lambda path: _is_of(tenant_id, path.name))
        for name in ENGINES.get(self.engine or "", ()):
            found += _files_with(word, server(name).folder, _owned(name, tenant_id))
        if word in generate_latest(self.installation.app.metrics.registry).decode():
            found.append("metrics")
        return found

    async def is_at_home(self, word: str, tenant_id: str) -> bool:
        """In the rows and in the files of the tenant's database: what does not find it there would find nothing."""
        ref = (await refs_of(self.installation))[tenant_id]
        rows = await all_rows(self.installation, without=())
        own = [tables for name, tables in rows.items() if _is_of(tenant_id, Path(name).name)]
        return word in str(own) and word.encode() in written_for(ref)

    async def backups_of(self, tenant_id: str, folder: Path) -> list[str]:
        """The rows in each of the tenant's backups, opened with its key."""
        parts = self.installation.running.platform.parts
        tenant = await parts.registry.read(get_tenant, tenant_id)
        key, found = key_of(data_key_of(parts, tenant)), []
        for backup in await parts.registry.read(list_backups, tenant_id):
            copy = folder / f"{backup.id}.db"
            read_backup(path_of(parts, backup), key, copy)
            found.append(str(rows_of(copy)))
        return found


def _is_of(tenant_id: str, name: str) -> bool:
    """A file, a namespace or a database of any generation."""
    return name == tenant_id or name.startswith((f"{tenant_id}.", f"{tenant_id}-"))


def _files_with(word: str, root: Path, is_own: Callable[[Path], bool]) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not is_own(path) and word.encode() in path.read_bytes():
            yield str(path.relative_to(root))


def _owned(name: str, tenant_id: str) -> Callable[[Path], bool]:
    """PostgreSQL's write-ahead log is one for all databases, and the operator's alone."""
    if name == "libsql":
        return lambda path: any(_is_of(tenant_id, part) for part in path.parts)
    superuser().execute("CHECKPOINT")
    own = {"pg_wal"} | {oid for oid, database in postgresql_databases() if _is_of(tenant_id, database)}
    return lambda path: bool(own.intersection(path.parts))
