"""What the back ends over Hrana do inside a database: fill it whole, and look whose it is."""

from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import keystead_hrana as hrana
from core.database import DatabaseRef
from core.database.tokens import bearer
from core.errors import Conflict, DatabaseMissing, DatabaseUnavailable
from core.failpoints import failpoint

SECONDS = 30.0
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"


@dataclass(frozen=True, slots=True)
class Content:
    """Of a database: nothing yet, or somebody's."""

    tables: frozenset[str]
    identity: tuple[str, str] | None


def look(ref: DatabaseRef) -> Content:
    with _connection(ref) as connection:
        connection.begin("read")
        tables = frozenset(row[0] for row in connection.execute(_TABLES))
        if ref.roll.table not in tables:
            return Content(tables, None)
        row = connection.execute(ref.roll.select_identity).fetchone()
        return Content(tables, None if row is None else (row[0], row[1]))


def fill(ref: DatabaseRef, script: Iterable[str], identity: tuple[str, str]) -> None:
    """In one transaction, into an empty database; nothing to do when what would be put there is there already."""
    content = look(ref)
    if content.identity == identity:
        return
    if content.tables:
        raise Conflict("A database lies where the new one would go.", code="database_exists")
    with _connection(ref) as connection:
        connection.begin("immediate", ((_TABLES, _refuse_any),))
        for portion in script:
            connection.executescript(portion)
        failpoint("backend.create.filled")
        connection.commit()


@contextmanager
def _connection(ref: DatabaseRef) -> Generator[hrana.BaseConnection, None, None]:
    """Over sockets of its own: whole databases are made seldom, and nothing stays open behind them."""
    remote, sockets = ref.server, hrana.Sockets()
    namespace = None if remote.is_alone else remote.name
    token = bearer(remote.secret, remote.name)
    try:
        with closing(sockets):
            connection = hrana.connect(remote.url, namespace, token, timeout=SECONDS, sockets=sockets)
            with closing(connection):
                yield connection
    except hrana.NamespaceMissing as error:
        raise DatabaseMissing from error
    except hrana.Error as error:
        raise DatabaseUnavailable from error


def _refuse_any(rows: list[tuple[Any, ...]]) -> None:
    if rows:
        raise Conflict("A database lies where the new one would go.", code="database_exists")
