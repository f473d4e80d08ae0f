"""One database, the pool that serves it and another node's pool: on every kind there is, one after the other."""

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from core.database import Database, DatabaseRef, Databases
from tests.databases.engines import Engine, FileEngine, LibsqlEngine, PostgresEngine
from tests.engines.cloud import CloudTraits
from tests.engines.proxy import Proxy

KINDS = [
    "sqlite",
    pytest.param("libsql", marks=pytest.mark.libsql),
    pytest.param("managed libsql", marks=pytest.mark.libsql),
    pytest.param("libsql by libsql-client", marks=pytest.mark.libsql),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    match request.param:
        case "sqlite":
            yield FileEngine(tmp_path)
        case "libsql":
            yield LibsqlEngine(request.getfixturevalue("sqld"))
        case "libsql by libsql-client":
            import_module("keystead_hrana.libsql")  # seconds on a busy machine, and no unit's
            yield LibsqlEngine(request.getfixturevalue("sqld"), transport="libsql-client")
        case "managed libsql":
            sqld = request.getfixturevalue("sqld")
            front = Proxy(sqld.port, CloudTraits())
            yield LibsqlEngine(sqld, front)
            front.close()
        case "postgresql":
            yield PostgresEngine(request.getfixturevalue("postgres"))


@pytest.fixture
async def pool(engine: Engine, tmp_path: Path) -> AsyncIterator[Databases]:
    async with Databases(tmp_path, write_deadline=2.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
async def other_node(engine: Engine, tmp_path: Path) -> AsyncIterator[Databases]:
    """Shares nothing with the first but the databases (and the memory of one data folder, if they are files)."""
    async with Databases(tmp_path, write_deadline=2.0, kinds=engine.kinds()) as databases:
        yield databases


@pytest.fixture
def ref(engine: Engine) -> DatabaseRef:
    return engine.make()


@pytest.fixture
def database(pool: Databases, ref: DatabaseRef) -> Database:
    return pool.open(ref)
