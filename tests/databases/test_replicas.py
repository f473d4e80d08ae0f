"""F20: what answers is a replica that lags. Nothing older is believed than what this process has seen."""

import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.database import Database, DatabaseRef, Databases
from core.errors import DatabaseUnavailable
from tests.databases import units
from tests.databases.engines import LibsqlEngine
from tests.engines.proxy import Proxy, Request
from tests.engines.sqld import Sqld

pytestmark = [pytest.mark.anyio, pytest.mark.libsql]


class Lagging:
    """Sends what reads to a copy that no change reaches, as often as it is told to."""

    def __init__(self, sqld: Sqld) -> None:
        self._sqld = sqld
        self.copy = ""
        self.times = 0

    def __call__(self, request: Request) -> tuple[int, Request]:
        if self.times and request.has("BEGIN READONLY"):
            self.times -= 1
            name = base64.b64encode(self.copy.encode()).rstrip(b"=").decode()
            headers = {**request.headers, "host": f"{self.copy}.localhost", "x-namespace-bin": name}
            request = replace(request, headers=headers)
        return self._sqld.port, request


@pytest.fixture
def lagging(sqld: Sqld) -> Lagging:
    return Lagging(sqld)


@pytest.fixture
def front(lagging: Lagging) -> Iterator[Proxy]:
    proxy = Proxy(lagging)
    yield proxy
    proxy.close()


@pytest.fixture
def ref(sqld: Sqld, front: Proxy, lagging: Lagging) -> DatabaseRef:
    made = LibsqlEngine(sqld, front).make()
    lagging.copy = f"{made.server.name}-copy"
    sqld.fork(made.server.name, lagging.copy)
    return replace(made, remote=replace(made.server, secret=sqld.token()))


@pytest.fixture
async def database(tmp_path: Path, sqld: Sqld, front: Proxy, ref: DatabaseRef) -> AsyncIterator[Database]:
    async with Databases(tmp_path, kinds=LibsqlEngine(sqld, front).kinds()) as pool:
        yield pool.open(ref)


async def test_an_older_answer_is_asked_for_again(database: Database, lagging: Lagging) -> None:
    assert await database.snapshot(units.colour) == "red"
    await database.write(units.set_colour, "blue")
    lagging.times = 2
    assert await database.snapshot(units.colour) == "blue"
    assert await database.read(units.colour) == "blue"
    assert lagging.times == 0


async def test_a_replica_that_stays_behind_is_an_error_and_never_an_old_answer(
    database: Database, lagging: Lagging
) -> None:
    assert await database.read(units.colour) == "red"
    await database.write(units.set_colour, "blue")
    lagging.times = 1_000
    for method in (database.read, database.snapshot):
        with pytest.raises(DatabaseUnavailable):
            await method(units.colour)
    assert await database.write(units.colour) == "blue"
    lagging.times = 0
    assert await database.read(units.colour) == "blue"


async def test_a_real_replica_shows_a_node_its_own_configuration_at_once(
    own_sqld: Sqld, tmp_path: Path
) -> None:
    made = LibsqlEngine(own_sqld).make()
    replica = Sqld(tmp_path / "replica", key=own_sqld.key, replica_of=own_sqld).start()
    ref = replace(made, remote=replace(made.server, url=replica.url))
    async with Databases(tmp_path, kinds=LibsqlEngine(replica).kinds()) as pool:
        database = pool.open(ref)
        for turn in range(50):
            await database.write(units.set_colour, f"c{turn}")
            assert await database.read(units.colour) == f"c{turn}"
    replica.kill()
    assert own_sqld.query(ref.server.name, "SELECT value FROM setting") == [("c49",)]
