"""What the PostgreSQL back end does to a server: databases, their owners, and templates of a schema's version.

A tenant's database belongs to a role of its own, and nobody else may connect to it. CREATE DATABASE is no part of a
transaction, so every step here is safe to repeat after a crash.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

import psycopg
import structlog
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import migrations
from core.database.engine import connection_over
from core.database.remote.postgresql import Connection, connect
from core.database.remote.postgresql_dialect import shared_postgresql
from core.errors import DatabaseUnavailable
from core.failpoints import failpoint
from core.settings import SettingsError
from provisioning.backends.slug import Slug

SECONDS = 30.0
"""For one statement; a server that is asked for many databases at once makes them one after the other."""

TURN_SECONDS = 10.0

_TEMPLATES = 0x6B65_7974
"""The advisory lock of who makes a template."""

_BYTE_BY_BYTE = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
"""How SQLite sorts and compares texts."""

_CLOSED = "ALLOW_CONNECTIONS false"
"""Everybody may connect to a new database, until that is revoked."""

_STRATEGY_SINCE = 150_000
_OWN = ("user", "password", "dbname")
_ENDING_ATTEMPTS = 20
_log = structlog.get_logger(__name__)


class Server:
    def __init__(self, url: str) -> None:
        self._url = url
        parts = _parts(url)
        self._maintenance = str(parts.get("dbname") or "postgres")
        self.address = make_conninfo("", **{name: value for name, value in parts.items() if name not in _OWN})

    def has(self, name: Slug) -> bool:
        with self._connected() as admin:
            return _has(admin, name)

    def is_open(self, name: Slug) -> bool:
        """It is there, and its role may connect."""
        with self._connected() as admin:
            asked = admin.execute("SELECT FROM pg_database WHERE datname = $1 AND datallowconn", (name,))
            return asked.fetchone() is not None

    def make(self, name: Slug, password: str, version: str) -> None:
        """With the schema and no rows."""
        with self._connected() as admin:
            template = self._template(admin, version)
            _put_role(admin, name, password)
            failpoint("backend.create.role")
            if not _has(admin, name):
                strategy = "STRATEGY wal_log" if admin.info.server_version >= _STRATEGY_SINCE else ""
                admin.execute(
                    f'CREATE DATABASE "{name}" OWNER "{name}" TEMPLATE "{template}" {strategy} {_CLOSED}'
                )
                failpoint("backend.create.closed")
            _open_to_its_owner(admin, name)
        failpoint("backend.create.database")
        with self._connected(name) as inside:
            inside.execute("SET search_path = pg_catalog")  # nothing that the owner may have put there is run
            inside.execute(_hand_over(name))

    def change_password(self, name: Slug, password: str) -> None:
        """Who came in with the old one is sent away."""
        with self._connected() as admin:
            _put_role(admin, name, password)
            _send_away(admin, name)

    def names(self) -> list[str]:
        with self._connected() as admin:
            rows = admin.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname")
            return [name for (name,) in rows]

    def drop(self, name: Slug) -> None:
        with self._connected() as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            failpoint("backend.delete.database")
            if _has_role(admin, name):
                _drop_role(admin, name)

    def rename(self, name: Slug, aside: Slug) -> None:
        """The role, too, which may no longer log in."""
        with self._connected() as admin:
            if _has(admin, name):
                _rename_database(admin, name, aside)
            failpoint("backend.set_aside.renamed")
            if _has_role(admin, name):
                _lock_out(admin, name)
                admin.execute(f'ALTER ROLE "{name}" RENAME TO "{aside}"')

    def _template(self, admin: Connection, version: str) -> Slug:
        """Made once for a server and role, whole or not at all: a draft is no template yet. What another role made
        is neither trusted nor could it be given to a tenant."""
        content = sha256(f"{migrations.digest('tenant')} {admin.info.user}".encode()).hexdigest()
        name = Slug(f"keystead_template_{version}_{content[:12]}")
        if _is_template(admin, name):
            return name
        _take_turn(admin)
        if not _is_template(admin, name):
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            admin.execute(f'CREATE DATABASE "{name}" {_BYTE_BY_BYTE} {_CLOSED}')
            _open_to_its_owner(admin, name)
            self._put_schema(name, version)
            failpoint("backend.template.filled")
            admin.execute(f'ALTER DATABASE "{name}" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_advisory_unlock($1)", (_TEMPLATES,))
        return name

    def _put_schema(self, name: Slug, version: str) -> None:
        with self._connected(name) as inside:
            inside.execute("BEGIN")
            migrations.upgrade(connection_over(inside, shared_postgresql()), "tenant", to=version)
            inside.execute("COMMIT")

    @contextmanager
    def _connected(self, database: str | None = None) -> Generator[Connection, None, None]:
        """As the operator's role, in autocommit mode."""
        try:
            address = make_conninfo(self._url, dbname=database or self._maintenance)
            admin = connect(address, until=time.monotonic() + SECONDS)
            with admin:
                yield admin
        except psycopg.Error as error:
            raise DatabaseUnavailable from error


def _parts(url: str) -> dict[str, Any]:
    """What is wrong with it is not said: libpq's words for that quote the password."""
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise SettingsError(
            "The backends file: a url of [postgresql] is not one that PostgreSQL reads; characters such as % are"
            " written as %25."
        ) from None


def _has(admin: Connection, name: Slug) -> bool:
    return admin.execute("SELECT FROM pg_database WHERE datname = $1", (name,)).fetchone() is not None


def _is_template(admin: Connection, name: Slug) -> bool:
    asked = admin.execute(
        "SELECT FROM pg_database WHERE datname = $1 AND datistemplate"
        " AND pg_get_userbyid(datdba) = current_user",
        (name,),
    )
    return asked.fetchone() is not None


def _put_role(admin: Connection, name: Slug, password: str) -> None:
    """The server is told a verifier, so no log of it holds the password. Whoever makes the database becomes a member
    of its owner, without which only a superuser could give it away."""
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    with suppress(errors.DuplicateObject):
        admin.execute(f'CREATE ROLE "{name}"')
    admin.execute(f"ALTER ROLE \"{name}\" LOGIN PASSWORD '{verifier}'")
    admin.execute(f'GRANT "{name}" TO CURRENT_USER')


def _take_turn(admin: Connection) -> None:
    """Two that make one template at once disturb each other, and try again. Whoever may connect here can hold the
    lock, a tenant's role too where everybody may: it is not waited for longer than a template takes."""
    admin.execute(f"SET lock_timeout = {int(TURN_SECONDS * 1000)}")
    with suppress(errors.LockNotAvailable):
        admin.execute("SELECT pg_advisory_lock($1)", (_TEMPLATES,))
    admin.execute("RESET lock_timeout")


def _open_to_its_owner(admin: Connection, name: Slug) -> None:
    admin.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')


def _has_role(admin: Connection, name: Slug) -> bool:
    return admin.execute("SELECT FROM pg_roles WHERE rolname = $1", (name,)).fetchone() is not None


def _lock_out(admin: Connection, name: Slug) -> None:
    admin.execute(f'ALTER ROLE "{name}" NOLOGIN')
    _send_away(admin, name)


def _send_away(admin: Connection, name: Slug) -> None:
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", (name,))


def _drop_role(admin: Connection, name: Slug) -> None:
    """What it made in other databases that are open to everybody would keep it: of what lies out of reach it stays
    the owner, but nobody is it any more."""
    _lock_out(admin, name)
    admin.execute(f'DROP OWNED BY "{name}"')
    try:
        admin.execute(f'DROP ROLE "{name}"')
    except errors.DependentObjectsStillExist:
        _log.warning("role_owns_objects_elsewhere", role=name)


def _hand_over(owner: Slug) -> str:
    """What the template's maker made becomes the tenant's."""
    return f"""
DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT oid::regclass AS name FROM pg_class
               WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO "{owner}"', found.name); END LOOP;
  FOR found IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO "{owner}"', found.name); END LOOP;
END $$"""


def _rename_database(admin: Connection, name: Slug, aside: Slug) -> None:
    """Refused as long as anybody is in it: nobody new comes in, and who is there is sent away."""
    admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    for attempt in range(_ENDING_ATTEMPTS):
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", (name,))
        try:
            admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{aside}"')
        except errors.ObjectInUse:
            if attempt == _ENDING_ATTEMPTS - 1:
                raise
            time.sleep(0.05)
        else:
            return
