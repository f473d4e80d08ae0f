"""The worlds of other tests on another engine: KEYSTEAD_TEST_ENGINE=postgresql, libsql or mixed.

Worlds are made as SQLite files. With the variable set each tenant's file is put on a server before it is opened, and
the file is taken away, so that nothing is tested on it by mistake. A test that looks into a file by itself fails then,
which says nothing about the engine. In the mixed world neighbours have different engines.
"""

import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

from core.crypto.sealing import load_installation_key
from core.database import DatabaseRef, files_of
from core.database.kinds import Kind
from core.database.remote.kinds import remote_kinds
from core.settings import Settings
from provisioning.places import seal_credentials
from tests.engines.servers import server, superuser

ENGINE = os.environ.get("KEYSTEAD_TEST_ENGINE")
ENGINES = {"libsql": ("libsql",), "postgresql": ("postgresql",), "mixed": ("libsql", "postgresql")}
MIXED = {"acme": "sqlite", "globex": "libsql"}
"""All others are on PostgreSQL."""

Carry = Callable[[DatabaseRef], DatabaseRef]


def kinds() -> Mapping[str, Kind]:
    return remote_kinds(64) if ENGINE else {}


def back_end(engine: str | None, tenant_id: str) -> str:
    if engine == "mixed":
        return MIXED.get(tenant_id, "postgresql")
    return engine or "sqlite"


@asynccontextmanager
async def carrying(*, stays: bool = False) -> AsyncIterator[Carry]:
    """What was carried is thrown away at the end. What `stays` is a file that others are copies of."""
    carried: list[DatabaseRef] = []

    def carry(ref: DatabaseRef) -> DatabaseRef:
        name = back_end(ENGINE, ref.owner)
        if name == "sqlite" or stays:
            return ref
        carried.append(_copied(ref, name))
        return carried[-1]

    yield carry
    for ref in carried:
        if ref.kind == "libsql":
            server("libsql").backend.delete(ref)


@contextmanager
def carried_installation(settings: Settings, engine: str | None = ENGINE) -> Iterator[Settings]:
    """Every tenant that the registry in the folder knows, tenant one too; new ones are made there as well."""
    if engine is None:
        yield settings
        return
    carried = _carry_all(settings, engine)
    file = settings.data_dir / "backends.toml"
    file.write_text("".join(server(name).table for name in ENGINES[engine]))
    default = settings.default_backend if engine == "mixed" else engine
    yield replace(settings, backends_file=file, default_backend=default)
    for ref in carried:
        server(ref.kind).backend.delete(ref)


def _carry_all(settings: Settings, engine: str) -> list[DatabaseRef]:
    key = load_installation_key(settings, create=False)
    carried = []
    with closing(sqlite3.connect(settings.data_dir / "registry.db", isolation_level=None)) as registry:
        rows = registry.execute(
            "SELECT id, incarnation, generation, location FROM tenants WHERE backend = 'sqlite'"
        ).fetchall()
        for id, incarnation, generation, location in rows:
            path, name = settings.data_dir / location, back_end(engine, id)
            if name == "sqlite" or not path.exists():
                continue
            backend = server(name).backend
            place = backend.place(id, generation, None)
            ref = backend.ref(place, owner=id, incarnation=incarnation, generation=generation)
            _move(DatabaseRef(path=path, owner=id, incarnation=incarnation), ref)
            registry.execute(
                "UPDATE tenants SET backend = ?, location = ?, credentials = ? WHERE id = ?",
                (name, place.location, seal_credentials(key, id, place), id),
            )
            carried.append(ref)
    return carried


_originals: dict[str, DatabaseRef] = {}
_numbers = count()


def _copied(file: DatabaseRef, name: str) -> DatabaseRef:
    """PostgreSQL makes a database from another much faster than from a file, and many worlds begin alike. To drop
    one takes a checkpoint each time: the whole cluster goes at the end."""
    if name != "postgresql":
        return _made(file, name)
    with closing(sqlite3.connect(file.file)) as source:
        content = sha256("\n".join(source.iterdump()).encode()).hexdigest()
    if content not in _originals:
        _originals[content] = _made(file, name)
    original = _originals[content]
    copy = f"copy-{next(_numbers)}"
    superuser().execute(
        f'CREATE DATABASE "{copy}" OWNER "{original.server.user}" TEMPLATE "{original.server.name}"'
    )
    return replace(original, remote=replace(original.server, name=copy))


def _made(file: DatabaseRef, name: str) -> DatabaseRef:
    backend = server(name).backend
    place = backend.place(file.owner, file.generation, None)
    made = backend.ref(place, owner=file.owner, incarnation=file.incarnation, generation=file.generation)
    _move(file, made)
    return made


def _move(file: DatabaseRef, target: DatabaseRef) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        with closing(sqlite3.connect(file.file)) as source, closing(sqlite3.connect(copy)) as whole:
            source.backup(whole)
        server(target.kind).backend.restore(target, copy)
    for path in files_of(file.file):
        path.unlink(missing_ok=True)
