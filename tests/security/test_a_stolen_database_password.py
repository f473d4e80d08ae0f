"""Whoever has the password of one tenant's PostgreSQL database is alone with that database."""

import asyncio
import secrets
from pathlib import Path

import psycopg
import pytest

from controlplane.models import DIRECTORY_CHANNEL
from controlplane.registry.installation import InstallationRow, directory_version
from core.database import DatabaseRef, database
from core.database.remote.postgresql import conninfo
from core.failpoints import EXIT_STATUS
from core.settings import Secret, Settings, SettingsError
from provisioning.backends import postgresql_server
from provisioning.backends.configuration import PostgresqlServer, Servers
from provisioning.backends.postgresql import PostgresqlBackend
from provisioning.directory_news import DirectoryNews
from provisioning.platform import open_databases
from provisioning.registry_place import make_registry, registry_ref
from tests.backends.homes import Home, nothing_more
from tests.conftest import settings_for
from tests.engines.postgres import Postgres
from tests.provisioning.installations import in_child
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]

INSTALLATION = InstallationRow(
    id="ins_1",
    incarnation="inc_1",
    kind="x",
    control_plane_tenant="control_plane",
    key_check="x",
    created_at=1,
)


def connected(ref: DatabaseRef, name: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    options = {} if name is None else {"dbname": name}
    return psycopg.connect(conninfo(ref.server), autocommit=True, **options)  # type: ignore[arg-type]


@pytest.fixture
def registry(postgres: Postgres, tmp_path: Path) -> Settings:
    """On the server that tenants' databases are on, in a database as `CREATE DATABASE` makes it."""
    name = f"registry_{secrets.token_hex(6)}"
    postgres.query(f"CREATE DATABASE {name}")
    settings = settings_for(tmp_path / "data", registry_url=Secret(postgres.url(name)))
    make_registry(settings, INSTALLATION)
    return settings


def test_it_does_not_lead_into_the_registry(postgresql_home: Home, registry: Settings) -> None:
    """Where it could read no table, but hold the writers' lock for ever and speak to all nodes."""
    _, acme = postgresql_home.made("acme")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        connected(acme, registry_ref(registry).server.name)


async def test_what_is_said_to_the_nodes_is_looked_into_and_not_believed(
    registry: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RECHECK_SECONDS", 3600.0)
    databases = open_databases(registry)
    opened = databases.open(registry_ref(registry))
    news = DirectoryNews(opened)
    news.start()
    admin = psycopg.connect(conninfo(opened.ref.server), autocommit=True)
    try:
        assert await opened.snapshot(directory_version) == 1
        for said in ("", "rubbish", "-1", "9" * 40, str(2**62)):
            admin.execute("SELECT pg_notify(%s, %s)", (DIRECTORY_CHANNEL, said))

        async def holds() -> bool:
            return await opened.snapshot(directory_version) == 1 == opened.kept(directory_version)

        await until(holds)
        admin.execute("UPDATE installation SET directory_version = 2")

        async def is_heard() -> bool:
            return await opened.snapshot(directory_version) == 2

        await until(is_heard)
    finally:
        admin.close()
        news.close()
        await databases.close()


def test_a_database_is_closed_until_nobody_else_may_enter(postgresql_home: Home, postgres: Postgres) -> None:
    _, thief = postgresql_home.made("thief")
    ref = postgresql_home.ref(postgresql_home.place())

    async def dies() -> None:
        await asyncio.to_thread(postgresql_home.backend.create, ref, postgresql_home.template, nothing_more)

    assert in_child(dies, "backend.create.closed=exit") == EXIT_STATUS
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        connected(thief, ref.server.name)
    assert not postgresql_home.backend.exists(ref)
    postgresql_home.backend.create(ref, postgresql_home.template, nothing_more)
    assert postgresql_home.backend.exists(ref)


@pytest.mark.parametrize("elsewhere", ["postgres", "template1"])
def test_what_was_left_elsewhere_keeps_no_tenant_from_being_deleted(
    postgresql_home: Home, elsewhere: str
) -> None:
    _, ref = postgresql_home.made("acme")
    with connected(ref, elsewhere) as thief:
        thief.execute("SELECT lo_create(0)")
        postgresql_home.backend.delete(ref)
        with pytest.raises(psycopg.OperationalError):
            thief.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connected(ref, elsewhere)
    postgresql_home.backend.delete(ref)


def test_what_the_owner_of_a_database_put_there_is_not_run_by_the_operator(
    postgresql_home: Home, postgres: Postgres
) -> None:
    place, ref = postgresql_home.made("acme")
    with connected(ref) as thief:
        thief.execute(
            "CREATE FUNCTION public.format(text, regclass) RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'run by %', current_user; END $$"
        )
        thief.execute(f'ALTER DATABASE "{ref.server.name}" SET search_path = public, pg_catalog')
    postgresql_home.made("acme", place=place)


def test_a_lock_that_is_held_for_ever_keeps_no_tenant_from_being_made(
    postgresql_home: Home, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_server, "TURN_SECONDS", 0.2)
    _, thief = postgresql_home.made("thief")
    for (name,) in postgres.query("SELECT datname FROM pg_database WHERE datname LIKE 'keystead_template%'"):
        postgres.query(f"ALTER DATABASE {name} IS_TEMPLATE false")
        postgres.query(f"DROP DATABASE {name} WITH (FORCE)")
    with connected(thief, "postgres") as held:
        held.execute("SELECT pg_advisory_lock(%s)", (postgresql_server._TEMPLATES,))
        _, ref = postgresql_home.made("acme")
    assert postgresql_home.backend.exists(ref)


def test_a_mistake_in_the_operators_address_is_told_without_the_password() -> None:
    address = Secret("postgresql://operator:half%of-it@127.0.0.1/postgres")
    with pytest.raises(SettingsError) as refused:
        PostgresqlBackend(Servers(PostgresqlServer(address)))
    assert "half" not in str(refused.value)
    assert refused.value.__suppress_context__
