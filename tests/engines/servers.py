"""One process of each engine for this process of tests, on which worlds of other tests stand (`carried.py`), and the
rows of what is on it, read past the application."""

import atexit
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from core.database import DatabaseRef, files_of
from core.settings import Secret
from provisioning.backends import Backend
from provisioning.backends.configuration import LibsqlServer, PostgresqlServer, Servers
from provisioning.backends.libsql import LibsqlBackend
from provisioning.backends.postgresql import PostgresqlBackend
from tests.engines.postgres import FAST, Postgres
from tests.engines.sqld import Sqld

# As docs/backends.md asks of an operator: without `terse` the server logs the values of a row that is there already.
SETTINGS = (*FAST, "-c", "autovacuum=off", "-c", "checkpoint_timeout=1h", "-c", "log_error_verbosity=terse")

Rows = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Server:
    backend: Backend
    table: str
    """What a backends file says of it."""

    folder: Path
    """Everything that it writes."""


@cache
def libsql_process() -> Sqld:
    server = Sqld(Path(tempfile.mkdtemp(prefix="keystead-sqld-"))).start()
    atexit.register(server.stop)
    return server


@cache
def postgresql_process() -> Postgres:
    cluster = Postgres(settings=SETTINGS).start()
    atexit.register(cluster.remove)
    return cluster


@cache
def server(name: str) -> Server:
    if name == "postgresql":
        cluster = postgresql_process()
        url = cluster.url()
        return Server(
            PostgresqlBackend(Servers(PostgresqlServer(Secret(url)))),
            f'[postgresql]\nurl = "{url}"\n',
            cluster.folder,
        )
    assert name == "libsql", name
    sqld = libsql_process()
    lines = (
        f'url = "{sqld.url}"',
        f'admin_url = "{sqld.admin_url}"',
        f'admin_key = "{sqld.admin_key}"',
    )
    return Server(
        LibsqlBackend(Servers(LibsqlServer(sqld.url, sqld.admin_url, Secret(sqld.admin_key)))),
        "[libsql]\n" + "\n".join(lines) + "\n",
        sqld.folder,
    )


@cache
def superuser() -> psycopg.Connection[Any]:
    return psycopg.connect(postgresql_process().url(), autocommit=True)


def namespace_file(ref: DatabaseRef) -> Path:
    """A namespace is a SQLite file in the server's folder."""
    return libsql_process().folder / "data" / "dbs" / ref.server.name / "data"


def written_for(ref: DatabaseRef) -> bytes:
    """All that the files of a database hold, whatever its engine."""
    return b"".join(path.read_bytes() for path in files_behind(ref) if path.is_file())


def files_behind(ref: DatabaseRef) -> list[Path]:
    if ref.path is not None:
        return list(files_of(ref.path))
    if ref.kind == "libsql":
        return list(namespace_file(ref).parent.iterdir())
    superuser().execute("CHECKPOINT")
    [oid] = [oid for oid, name in postgresql_databases() if name == ref.server.name]
    return list((postgresql_process().folder / "data" / "base" / oid).iterdir())


def postgresql_databases() -> list[tuple[str, str]]:
    """With the names of the folders that they are in."""
    return superuser().execute("SELECT oid::text, datname FROM pg_database").fetchall()


def postgresql_rows(url: str, without: Sequence[str] = ()) -> Rows:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        ).fetchall()
        return {
            name: sorted(map(repr, connection.execute(sql.SQL("TABLE {}").format(sql.Identifier(name)))))
            for (name,) in tables
            if name not in without
        }
