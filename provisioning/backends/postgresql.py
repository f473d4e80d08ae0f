"""A PostgreSQL database per tenant, on one server or several (regions), each with a role and a password of its own.

A database is made from a template that holds the schema; until the row is in it that says whose it is, it is a draft.
That row and all others come in one transaction.
"""

import secrets
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from core.database import DatabaseRef
from core.database.engine import connection_over
from core.database.refs import Remote
from core.database.remote.postgresql import ONE_WRITER, PostgresDriver, connect, conninfo
from core.database.remote.postgresql_dialect import shared_postgresql
from core.errors import (
    Conflict,
    DatabaseCorrupt,
    DatabaseElsewhere,
    DatabaseMissing,
    DatabaseUnavailable,
    InvalidInput,
)
from core.failpoints import failpoint
from provisioning.backends import Place
from provisioning.backends.configuration import PostgresqlServer, Servers
from provisioning.backends.postgresql_server import Server
from provisioning.backends.scripts import identity, opened_copy, opened_image
from provisioning.backends.slug import Slug, fresh_name
from provisioning.backends.template import OwnRows, Template
from provisioning.transfer import copy_rows, load_snapshot, write_snapshot
from provisioning.transfer.snapshots import snapshot_version

SECONDS = 600.0
"""For all rows of one database."""


class PostgresqlBackend:
    name = "postgresql"
    is_local = False

    def __init__(self, servers: Servers[PostgresqlServer]) -> None:
        self._places = servers
        known = [server for server in (servers.default, *servers.regions.values()) if server is not None]
        self._servers = {server: Server(server.url.reveal()) for server in known}

    def place(self, tenant_id: str, generation: int, region: str | None) -> Place:
        self._places.at(region)
        name = fresh_name(tenant_id, generation)
        return Place(f"{region}/{name}" if region else name, _new_password().encode())

    def ref(self, place: Place, *, owner: str, incarnation: str, generation: int) -> DatabaseRef:
        region, _, found = place.location.rpartition("/")
        name = str(Slug(found))
        try:
            server = self._servers[self._places.at(region or None)]
        except InvalidInput as error:
            raise DatabaseElsewhere from error  # the region was taken out of the backends file
        password = (place.credentials or b"").decode()
        return DatabaseRef(
            kind="postgresql",
            remote=Remote(url=server.address, name=name, user=name, secret=password),
            owner=owner,
            incarnation=incarnation,
            generation=generation,
        )

    def exists(self, ref: DatabaseRef) -> bool:
        """A database that is not yet its role's, or has nobody's row in it, is a draft."""
        if not self._server(ref).is_open(_name(ref)):
            return False
        with _transaction(ref) as connection:
            return _identity(connection, ref) is not None

    def create(self, ref: DatabaseRef, template: Template, own_rows: OwnRows) -> None:
        image = template.image(ref.owner, ref.incarnation, own_rows)
        with opened_image(image) as driver:
            driver.isolation_level = None
            driver.execute("BEGIN")
            source = connection_over(driver)
            self._fill(
                ref,
                template.schema_version,
                (ref.owner, ref.incarnation),
                lambda target: copy_rows(source, target),
            )

    def restore(self, ref: DatabaseRef, source: Path) -> None:
        if not source.exists():
            raise DatabaseMissing
        with opened_copy(source) as driver:
            whose = identity(driver, ref)
        self._fill(ref, snapshot_version(source), whose, lambda target: load_snapshot(source, target))

    def delete(self, ref: DatabaseRef) -> None:
        self._server(ref).drop(_name(ref))

    def set_aside(self, ref: DatabaseRef) -> None:
        name = _name(ref)
        self._server(ref).rename(name, Slug(f"aside-{name[:45].strip('-')}-{secrets.token_hex(5)}"))

    def snapshot(self, ref: DatabaseRef, target: Path) -> None:
        if not self._server(ref).has(_name(ref)):
            raise DatabaseMissing
        with _reading(ref) as connection:
            write_snapshot(connection, target)

    def renewed(self, place: Place, ref: DatabaseRef) -> Place:
        password = _new_password()
        self._server(ref).change_password(_name(ref), password)
        return replace(place, credentials=password.encode())

    def names(self) -> list[str]:
        return [name for server in self._servers.values() for name in server.names()]

    def _fill(
        self, ref: DatabaseRef, version: str, whose: tuple[str, str], copy: Callable[[Connection], object]
    ) -> None:
        server, name = self._server(ref), _name(ref)
        server.make(name, ref.server.secret, version)
        with _transaction(ref) as connection:
            held = _identity(connection, ref)
            if held == whose:
                return
            if held is not None:
                raise Conflict("A database lies where the new one would go.", code="database_exists")
            copy(connection)
            failpoint("backend.create.filled")

    def _server(self, ref: DatabaseRef) -> Server:
        return next(server for server in self._servers.values() if server.address == ref.server.url)


def _new_password() -> str:
    return secrets.token_urlsafe(24)


def _name(ref: DatabaseRef) -> Slug:
    return Slug(ref.server.name)


@contextmanager
def _transaction(ref: DatabaseRef) -> Generator[Connection, None, None]:
    """In a database that may be a draft, so that nothing is asked of it first."""
    with _told(), connect(conninfo(ref.server), until=time.monotonic() + SECONDS) as driver:
        driver.execute(f"BEGIN; SELECT pg_advisory_xact_lock({ONE_WRITER})")
        yield connection_over(driver, shared_postgresql())
        driver.execute("COMMIT")


@contextmanager
def _reading(ref: DatabaseRef) -> Generator[Connection, None, None]:
    until = time.monotonic() + SECONDS
    with _told(), closing(PostgresDriver().open(ref, until=until)) as session:
        session.begin(writes=False, until=until)
        yield session.units.connection


@contextmanager
def _told() -> Generator[None, None, None]:
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        raise DatabaseUnavailable from error


def _identity(connection: Connection, ref: DatabaseRef) -> tuple[str, str] | None:
    if not inspect(connection).has_table(ref.roll.table):
        raise DatabaseCorrupt
    if not connection.scalar(text(f"SELECT has_table_privilege('{ref.roll.table}', 'SELECT')")):
        return None
    row = connection.execute(text(ref.roll.select_identity)).one_or_none()
    return None if row is None else (row[0], row[1])
