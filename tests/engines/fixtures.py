"""The engines as fixtures: one process of each for a test process's whole run, others for tests that kill theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld


@pytest.fixture(scope="session")
def sqld(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqld]:
    """Shared by all: a test takes namespaces of its own names and neither stops nor fills it."""
    server = Sqld(tmp_path_factory.mktemp("sqld")).start()
    yield server
    server.stop()


@pytest.fixture
def own_sqld(tmp_path: Path) -> Iterator[Sqld]:
    """For a test that kills, stops or exhausts it."""
    server = Sqld(tmp_path / "sqld").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Shared by all: a test takes databases and roles of its own names and does not stop it."""
    cluster = Postgres().start()
    yield cluster
    cluster.remove()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """For a test that kills, stops or exhausts it."""
    cluster = Postgres().start()
    yield cluster
    cluster.remove()
