"""What is the PostgreSQL back end's alone: who may connect to what, and templates."""

import asyncio
from pathlib import Path

import psycopg
import pytest

import migrations
from core.database import DatabaseRef
from core.database.remote.postgresql import conninfo
from core.failpoints import EXIT_STATUS
from core.settings import Secret
from provisioning.backends.configuration import PostgresqlServer, Servers
from provisioning.backends.postgresql import PostgresqlBackend
from provisioning.backends.template import Draft
from tests.backends.homes import Home, nothing_more
from tests.engines.postgres import Postgres
from tests.provisioning.installations import in_child

pytestmark = pytest.mark.postgresql


def connected(ref: DatabaseRef, database: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    options = {} if database is None else {"dbname": database}
    return psycopg.connect(conninfo(ref.server), autocommit=True, **options)  # type: ignore[arg-type]


def templates(postgres: Postgres) -> list[str]:
    rows = postgres.query("SELECT datname FROM pg_database WHERE datname LIKE 'keystead_template%'")
    return [row[0] for row in rows]


def test_what_lets_one_into_a_tenants_database_lets_one_into_no_other(postgresql_home: Home) -> None:
    _, acme = postgresql_home.made("acme")
    _, globex = postgresql_home.made("globex")
    with connected(acme) as own:
        assert own.execute("SELECT id FROM tenant").fetchall() == [("acme",)]
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        connected(acme, globex.server.name)


def test_a_tenants_role_may_migrate_its_database_and_make_none(postgresql_home: Home) -> None:
    _, acme = postgresql_home.made("acme")
    with connected(acme) as own:
        own.execute("ALTER TABLE roles ADD COLUMN later text")
        own.execute("DROP FUNCTION roles_insert_version CASCADE")
        for statement in ("CREATE DATABASE more", "CREATE ROLE more"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(statement)


def test_no_password_is_told_to_the_server(postgresql_home: Home, postgres: Postgres) -> None:
    place, ref = postgresql_home.made("acme")
    assert place.credentials is not None
    kept = postgres.query(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ref.server.name}'")[0][0]
    assert kept.startswith("SCRAM-SHA-256$")
    log = (postgres.folder / "postgres.log").read_bytes()
    assert place.credentials not in log


def test_a_template_holds_the_schema_and_nobodys_rows(postgresql_home: Home, postgres: Postgres) -> None:
    def rows(draft: Draft) -> None:
        draft.driver.execute("INSERT INTO settings (key, source, value) VALUES ('mine', 'tenant', '1')")

    postgresql_home.made("acme", rows)
    _, second = postgresql_home.made("globex")
    own = "SELECT datname FROM pg_database WHERE datistemplate AND pg_get_userbyid(datdba) = 'operator'"
    (name,) = [row[0] for row in postgres.query(own) if f"_{migrations.head('tenant')}_" in row[0]]
    settings = "SELECT datistemplate, datallowconn FROM pg_database"
    assert postgres.query(f"{settings} WHERE datname = '{name}'") == [["t", "f"]]
    with connected(second) as own:
        assert own.execute("SELECT count(*) FROM settings").fetchall() == [(0,)]


@pytest.mark.faults
def test_killed_while_a_template_is_made_the_next_one_makes_it_anew(
    postgresql_home: Home, postgres: Postgres
) -> None:
    for name in templates(postgres):
        postgres.query(f"ALTER DATABASE {name} IS_TEMPLATE false")
        postgres.query(f"DROP DATABASE {name} WITH (FORCE)")
    ref = postgresql_home.ref(postgresql_home.place())

    async def dies() -> None:
        await asyncio.to_thread(postgresql_home.backend.create, ref, postgresql_home.template, nothing_more)

    assert in_child(dies, "backend.template.filled=exit") == EXIT_STATUS
    assert not postgresql_home.backend.exists(ref)
    postgresql_home.backend.create(ref, postgresql_home.template, nothing_more)
    assert postgresql_home.backend.exists(ref)


def test_a_template_of_another_role_is_not_used(
    postgresql_home: Home, postgres: Postgres, tmp_path: Path
) -> None:
    servers = Servers(PostgresqlServer(Secret(postgres.url("postgres"))))
    other = Home(PostgresqlBackend(servers), lambda: PostgresqlBackend(servers), tmp_path / "other")
    other.made("elsewhere")
    _, acme = postgresql_home.made("acme")
    with connected(acme) as own:
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert own.execute(owners).fetchall() == [(acme.server.name,)]
