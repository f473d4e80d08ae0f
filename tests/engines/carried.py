"""The worlds of other tests on another engine: KEYSTEAD_TEST_ENGINE=postgresql or libsql.

Worlds are made as SQLite files. With the variable set each tenant's file is put on a server before it is opened, and
the file is taken away, so that nothing is tested on it by mistake. A test that looks into a file by itself fails then,
which says nothing about the engine.
"""

import atexit
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from core.crypto.sealing import load_installation_key
from core.database import DatabaseRef, files_of
from core.database.kinds import Kind
from core.database.remote.kinds import remote_kinds
from core.settings import Secret, Settings
from provisioning.backends import Backend
from provisioning.backends.configuration import LibsqlServer, PostgresqlServer, Servers
from provisioning.backends.libsql import LibsqlBackend
from provisioning.backends.postgresql import PostgresqlBackend
from provisioning.places import seal_credentials
from tests.engines.postgres import FAST, Postgres
from tests.engines.sqld import Sqld

ENGINE = os.environ.get("KEYSTEAD_TEST_ENGINE")

Carry = Callable[[DatabaseRef], DatabaseRef]


def kinds() -> Mapping[str, Kind]:
    return remote_kinds(64) if ENGINE else {}


@asynccontextmanager
async def carrying(*, stays: bool = False) -> AsyncIterator[Carry]:
    """What was carried is thrown away at the end. What `stays` is a file that others are copies of."""
    carried: list[DatabaseRef] = []

    def carry(ref: DatabaseRef) -> DatabaseRef:
        if ENGINE is None or stays:
            return ref
        carried.append(_copied(ref))
        return carried[-1]

    yield carry
    for ref in carried if ENGINE == "libsql" else ():
        backend().delete(ref)


@contextmanager
def carried_installation(settings: Settings) -> Iterator[Settings]:
    """Every tenant that the registry in the folder knows, tenant one too; new ones are made there as well."""
    if ENGINE is None:
        yield settings
        return
    carried = _carry_all(settings)
    file = settings.data_dir / "backends.toml"
    file.write_text(_engine()[1])
    yield replace(settings, backends_file=file, default_backend=ENGINE)
    for ref in carried:
        backend().delete(ref)


def _carry_all(settings: Settings) -> list[DatabaseRef]:
    key = load_installation_key(settings, create=False)
    carried = []
    with closing(sqlite3.connect(settings.data_dir / "registry.db", isolation_level=None)) as registry:
        rows = registry.execute(
            "SELECT id, incarnation, generation, location FROM tenants WHERE backend = 'sqlite'"
        ).fetchall()
        for id, incarnation, generation, location in rows:
            path = settings.data_dir / location
            if not path.exists():
                continue
            place = backend().place(id, generation, None)
            ref = backend().ref(place, owner=id, incarnation=incarnation, generation=generation)
            _move(DatabaseRef(path=path, owner=id, incarnation=incarnation), ref)
            registry.execute(
                "UPDATE tenants SET backend = ?, location = ?, credentials = ? WHERE id = ?",
                (ENGINE, place.location, seal_credentials(key, id, place), id),
            )
            carried.append(ref)
    return carried


_originals: dict[str, DatabaseRef] = {}
_numbers = count()


def _copied(file: DatabaseRef) -> DatabaseRef:
    """PostgreSQL makes a database from another much faster than from a file, and many worlds begin alike. To drop
    one takes a checkpoint each time: the whole cluster goes at the end."""
    with closing(sqlite3.connect(file.file)) as source:
        content = sha256("\n".join(source.iterdump()).encode()).hexdigest()
    if ENGINE != "postgresql" or content not in _originals:
        place = backend().place(file.owner, file.generation, None)
        made = backend().ref(
            place, owner=file.owner, incarnation=file.incarnation, generation=file.generation
        )
        _move(file, made)
        if ENGINE != "postgresql":
            return made
        _originals[content] = made
    original = _originals[content]
    name = f"copy-{next(_numbers)}"
    _admin().execute(
        f'CREATE DATABASE "{name}" OWNER "{original.server.user}" TEMPLATE "{original.server.name}"'
    )
    return replace(original, remote=replace(original.server, name=name))


@cache
def _admin() -> psycopg.Connection[Any]:
    return psycopg.connect(_engine()[2], autocommit=True)


def _move(file: DatabaseRef, target: DatabaseRef) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        with closing(sqlite3.connect(file.file)) as source, closing(sqlite3.connect(copy)) as whole:
            source.backup(whole)
        backend().restore(target, copy)
    for path in files_of(file.file):
        path.unlink(missing_ok=True)


def backend() -> Backend:
    return _engine()[0]


@cache
def _engine() -> tuple[Backend, str, str]:
    """One process of it for this process of tests, what a backends file says of it, and its address."""
    if ENGINE == "postgresql":
        cluster = Postgres(settings=(*FAST, "-c", "autovacuum=off", "-c", "checkpoint_timeout=1h")).start()
        atexit.register(cluster.remove)
        url = cluster.url()
        return (
            PostgresqlBackend(Servers(PostgresqlServer(Secret(url)))),
            f'[postgresql]\nurl = "{url}"\n',
            url,
        )
    assert ENGINE == "libsql", "KEYSTEAD_TEST_ENGINE is postgresql, libsql, or not set"
    server = Sqld(Path(tempfile.mkdtemp(prefix="keystead-sqld-"))).start()
    atexit.register(server.stop)
    found = LibsqlServer(server.url, server.admin_url, Secret(server.admin_key))
    lines = (
        f'url = "{server.url}"',
        f'admin_url = "{server.admin_url}"',
        f'admin_key = "{server.admin_key}"',
    )
    return LibsqlBackend(Servers(found)), "[libsql]\n" + "\n".join(lines) + "\n", server.url
