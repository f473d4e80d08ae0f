"""Every test of the contract runs on each back end; those that need a server have its mark."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import failpoints
from core.settings import Secret
from provisioning.backends.configuration import LibsqlServer, PostgresqlServer, Servers, TursoAccount
from provisioning.backends.libsql import LibsqlBackend
from provisioning.backends.postgresql import PostgresqlBackend
from provisioning.backends.sqlite import SqliteBackend
from provisioning.backends.turso import TursoBackend
from tests.backends.homes import Home
from tests.conftest import settings_for
from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.engines.turso import ORGANIZATION, TOKEN, TursoPlatform
from tests.provisioning.fixtures import data, made

__all__ = ["data", "made"]


@pytest.fixture(autouse=True)
def no_failpoints() -> Iterator[None]:
    yield
    failpoints.configure("")


def server_of(sqld: Sqld) -> LibsqlServer:
    return LibsqlServer(sqld.url, sqld.admin_url, Secret(sqld.admin_key))


@pytest.fixture
def sqlite_home(tmp_path: Path) -> Home:
    settings = settings_for(tmp_path / "data")
    return Home(SqliteBackend(settings), lambda: SqliteBackend(settings), tmp_path)


@pytest.fixture
def libsql_home(tmp_path: Path, sqld: Sqld) -> Home:
    servers = Servers(server_of(sqld))
    return Home(LibsqlBackend(servers), lambda: LibsqlBackend(servers), tmp_path)


@pytest.fixture
def turso(tmp_path: Path, sqld: Sqld) -> Iterator[TursoPlatform]:
    platform = TursoPlatform(sqld, tmp_path)
    yield platform
    platform.close()


def account_of(platform: TursoPlatform) -> TursoAccount:
    groups = Servers("default", {"eu": "frankfurt", "moon": "crater"})
    return TursoAccount(ORGANIZATION, Secret(TOKEN), groups, platform.api.url)


@pytest.fixture
def turso_home(tmp_path: Path, turso: TursoPlatform) -> Home:
    account = account_of(turso)
    return Home(TursoBackend(account), lambda: TursoBackend(account), tmp_path)


@pytest.fixture(scope="session")
def postgresql_operator(postgres: Postgres) -> str:
    """No superuser, but what the documentation asks for."""
    make = "CREATE ROLE operator LOGIN CREATEDB CREATEROLE PASSWORD 'of-the-operator'"
    postgres.query(f"DO $$ BEGIN {make}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    return f"postgresql://operator:of-the-operator@127.0.0.1:{postgres.port}/postgres"


@pytest.fixture
def postgresql_home(tmp_path: Path, postgresql_operator: str) -> Home:
    servers = Servers(PostgresqlServer(Secret(postgresql_operator)))
    return Home(PostgresqlBackend(servers), lambda: PostgresqlBackend(servers), tmp_path)


HOMES = [
    pytest.param("sqlite_home", id="sqlite"),
    pytest.param("libsql_home", id="libsql", marks=pytest.mark.libsql),
    pytest.param("turso_home", id="turso", marks=pytest.mark.libsql),
    pytest.param("postgresql_home", id="postgresql", marks=pytest.mark.postgresql),
]
REMOTE = [home for home in HOMES if home.id != "sqlite"]


@pytest.fixture(params=HOMES)
def home(request: pytest.FixtureRequest) -> Home:
    found: Home = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=REMOTE)
def remote_home(request: pytest.FixtureRequest) -> Home:
    found: Home = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=[home for home in REMOTE if home.id != "libsql"])
def listing_home(request: pytest.FixtureRequest) -> Home:
    """A libSQL server has no list of its namespaces."""
    found: Home = request.getfixturevalue(request.param)
    return found
