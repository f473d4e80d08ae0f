"""One database for a test, by each way to reach it: a file, and a namespace of a real server, three times."""

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import keystead_hrana
from keystead_hrana.dbapi import BaseConnection
from tests.engines.cloud import CloudTraits
from tests.engines.proxy import Proxy
from tests.engines.sqld import Sqld

Open = Callable[..., BaseConnection]
Rows = Callable[[], list[Any]]
NUMBERS = itertools.count()
SERVED = ("http", "libsql-client", "cloud")


class File:
    """The standard library's driver with our words, to see that SQLite itself keeps the same promises."""

    def __init__(self, path: Path) -> None:
        self._driver = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        self._driver.executescript("PRAGMA foreign_keys=ON; PRAGMA journal_mode=WAL")

    def begin(
        self, mode: str = "deferred", preludes: Sequence[tuple[str, Callable[[Any], None]]] = ()
    ) -> None:
        self._driver.execute("BEGIN IMMEDIATE" if mode == "immediate" else "BEGIN")
        for sql, tell in preludes:
            tell(self._driver.execute(sql).fetchall())

    def commit(self, last: Iterable[tuple[str, Sequence[Any], Callable[[Any], None] | None]] = ()) -> None:
        told = [(tell, self._driver.execute(sql, values).fetchall()) for sql, values, tell in last]
        self._driver.commit()
        for tell, rows in told:
            if tell is not None:
                tell(rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


@pytest.fixture
def namespace(sqld: Sqld) -> str:
    name = f"driver-{next(NUMBERS)}"
    sqld.create(name)
    return name


@pytest.fixture
def rows(sqld: Sqld, namespace: str) -> Rows:
    """What is kept in the test's one table, seen from behind."""
    sqld.script(namespace, "CREATE TABLE t(x UNIQUE)")
    return lambda: [x for (x,) in sqld.query(namespace, "SELECT x FROM t ORDER BY x")]


def begun(connection: BaseConnection) -> BaseConnection:
    connection.begin("immediate")
    connection.execute("INSERT INTO t VALUES (1)")
    return connection


@pytest.fixture
def proxy(sqld: Sqld) -> Iterator[Proxy]:
    proxy = Proxy(sqld.port)
    yield proxy
    proxy.close()


@pytest.fixture
def connect(sqld: Sqld, namespace: str) -> Iterator[Open]:
    """Connections to the test's namespace, over sockets of the test's own; whatever is named goes to `connect`."""
    sockets = keystead_hrana.Sockets()
    opened: list[BaseConnection] = []

    def open_one(**options: Any) -> BaseConnection:
        given = {"url": sqld.url, "namespace": namespace, "token": sqld.token(), "sockets": sockets}
        opened.append(keystead_hrana.connect(**{**given, **options}))
        return opened[-1]

    yield open_one
    _close(opened)
    sockets.close()


@pytest.fixture
def through(connect: Open, proxy: Proxy) -> Open:
    """The same, through a proxy that may spoil things."""
    return lambda **options: connect(**{"url": proxy.url, **options})


@pytest.fixture(params=["file", *(pytest.param(name, marks=pytest.mark.libsql) for name in SERVED)])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_database(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Connections to one database, by each way."""
    if way == "file":
        files: list[File] = []

        def open_file() -> File:
            files.append(File(tmp_path / "database"))
            return files[-1]

        yield open_file
        _close(files)
        return
    if way == "cloud":
        proxy: Proxy = request.getfixturevalue("proxy")
        proxy.traits = CloudTraits()
        yield request.getfixturevalue("through")
        return
    connect: Open = request.getfixturevalue("connect")
    yield lambda: connect(transport=way)


@pytest.fixture
def database(open_database: Callable[[], Any]) -> Any:
    return open_database()


def _close(connections: Iterable[Any]) -> None:
    for each in connections:
        with suppress(keystead_hrana.Error):
            each.close()
