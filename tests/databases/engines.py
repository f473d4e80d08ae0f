"""Every kind of database that there is, with the same tiny schema, for tests of what all of them promise."""

import itertools
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from core.database import DatabaseRef, Databases
from core.database.kinds import Kind
from core.database.refs import Remote
from core.database.remote.hrana import HranaDriver
from core.database.remote.kind import RemoteKind
from tests.databases.conftest import SCHEMA, make_database, names_in
from tests.engines.proxy import Proxy
from tests.engines.sqld import Sqld

MARKS = "CREATE TABLE transaction_marks (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL)"
_numbers = itertools.count()


class Engine(Protocol):
    def make(
        self, owner: str = "acme", *, incarnation: str = "first", generation: int = 1
    ) -> DatabaseRef: ...

    def names_in(self, ref: DatabaseRef) -> list[str]:
        """What is there, seen by somebody else."""

    def run(self, ref: DatabaseRef, sql: str) -> None:
        """By somebody else, without parameters."""

    def kinds(self) -> Mapping[str, Kind]:
        """For one pool."""


class FileEngine:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(
        self, owner: str = "acme", *, incarnation: str = "first", generation: int = 1
    ) -> DatabaseRef:
        return make_database(self._folder, owner, incarnation=incarnation, generation=generation)

    def names_in(self, ref: DatabaseRef) -> list[str]:
        return names_in(ref)

    def run(self, ref: DatabaseRef, sql: str) -> None:
        with sqlite3.connect(ref.file, isolation_level=None) as other:
            other.execute(sql)
        other.close()

    def kinds(self) -> Mapping[str, Kind]:
        return {}


class LibsqlEngine:
    """A namespace for each database, with a token for this one only. `front` is what stands before the server."""

    def __init__(self, sqld: Sqld, front: Proxy | None = None) -> None:
        self.sqld = sqld
        self.url = front.url if front else sqld.url

    def make(
        self, owner: str = "acme", *, incarnation: str = "first", generation: int = 1
    ) -> DatabaseRef:
        namespace = f"{owner}-{next(_numbers)}"
        self.sqld.create(namespace)
        self.sqld.script(namespace, f"{SCHEMA}; {MARKS}")
        self.sqld.script(namespace, f"INSERT INTO tenant VALUES ('{owner}', '{incarnation}', 1, 0)")
        self.sqld.script(namespace, "INSERT INTO setting VALUES ('colour', 'red')")
        remote = Remote(url=self.url, name=namespace, secret=self.sqld.token(namespace))
        return DatabaseRef(
            kind="libsql", remote=remote, owner=owner, incarnation=incarnation, generation=generation
        )

    def names_in(self, ref: DatabaseRef) -> list[str]:
        return [row[0] for row in self.sqld.query(ref.server.name, "SELECT name FROM item ORDER BY id")]

    def run(self, ref: DatabaseRef, sql: str) -> None:
        self.sqld.script(ref.server.name, sql)

    def kinds(self) -> Mapping[str, Kind]:
        return {"libsql": RemoteKind(HranaDriver(), max_open=20)}
