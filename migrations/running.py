"""Revisions of a history, run on one connection: in as many threads at once as there are databases to bring up.

Alembic's own command keeps the connection at hand in globals of its modules, so two threads would write into each
other's database. Here every thread has the revisions as modules of its own, whose `op` works on its connection; and
nothing is looked up anew for each of thousands of databases.
"""

import threading
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, MetaData, String, Table, insert, update

_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_VERSION.primary_key.name = "alembic_version_pkc"

_own = threading.local()


def run_revisions(connection: Connection, folder: Path, current: str | None, wanted: str) -> None:
    """What lies between the two versions, in the transaction of `connection`."""
    if current is None:
        _VERSION.create(connection)
    operations = Operations(MigrationContext.configure(connection, opts={"transactional_ddl": False}))
    version = current
    for module in revisions_between(folder, current, wanted):
        module.op = operations  # type: ignore[attr-defined]
        module.upgrade()
        _note(connection, version, module.revision)
        version = module.revision


def revisions_between(folder: Path, current: str | None, wanted: str) -> list[ModuleType]:
    """After the one, up to the other."""
    return [module for module in _revisions(folder) if (current or "") < module.revision <= wanted]


def _note(connection: Connection, before: str | None, now: str) -> None:
    statement = insert(_VERSION) if before is None else update(_VERSION)
    connection.execute(statement.values(version_num=now))


def _revisions(folder: Path) -> list[ModuleType]:
    known: dict[Path, list[ModuleType]] = _own.__dict__.setdefault("revisions", {})
    if folder not in known:
        known[folder] = list(_loaded(folder))
    return known[folder]


def _loaded(folder: Path) -> Iterator[ModuleType]:
    """In their one line, which their file names tell."""
    for path in sorted(folder.glob("[0-9]*.py")):
        spec = spec_from_file_location(f"{__name__}.{folder.parent.name}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
