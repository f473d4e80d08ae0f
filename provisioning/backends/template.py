"""The template of a new tenant: a database in memory that holds the schema and the catalogue's rows, nothing else.

Kept by (schema version, catalogue digest) and made anew when either changes. A tenant's own rows are put into it, the
image of the whole is taken, and they are undone: the schema is read once for all tenants. No key, secret, client,
id, salt or incarnation stays in it, and what is deleted is overwritten (`secure_delete`), so nothing that is one
tenant's can become another's, not even as bytes between two rows.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection

import migrations
from core.database.engine import connection_over

KEPT = 16


class Draft:
    """A tenant's database before it has a place: the driver's connection and, for whoever needs it, SQLAlchemy's."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self.driver = driver

    @cached_property
    def connection(self) -> Connection:
        return connection_over(self.driver)


Applied = tuple[str, str, int]
"""Digest, incarnation, version."""

Filling = Callable[[Connection], Applied | None]
"""Writes the catalogue's rows, and answers what they amount to."""

OwnRows = Callable[[Draft], object]
"""Writes what is this tenant's alone, as converge does."""


@dataclass(frozen=True, slots=True)
class Template:
    driver: sqlite3.Connection = field(repr=False)
    schema_version: str
    applied: Applied | None  # None if a tenant's own ids are needed
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def image(self, tenant_id: str, incarnation: str, own_rows: OwnRows) -> bytes:
        """The whole with the row that says whose it is and what `own_rows` adds."""
        driver = self.driver
        with self.lock:
            driver.execute("BEGIN")
            try:
                driver.execute(
                    _INSERT_TENANT, (tenant_id, incarnation, *(self.applied or (None, None, None)))
                )
                own_rows(Draft(driver))
                driver.execute("UPDATE tenant SET converging = 0")
                return driver.serialize()
            finally:
                driver.execute("ROLLBACK")

    def close(self) -> None:
        with self.lock:
            self.driver.close()


class Templates:
    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Template] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, fill: Filling) -> Template:
        """Blocks while one is made: for threads."""
        with self._lock:
            wanted = (migrations.head("tenant"), key)
            template = self._known.get(wanted)
            if template is None:
                template = self._known[wanted] = _make(wanted[0], fill)
            self._known.move_to_end(wanted)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)  # closed when its last user is done
            return template

    def close(self) -> None:
        with self._lock:
            while self._known:
                self._known.popitem()[1].close()


def _make(schema_version: str, fill: Filling) -> Template:
    applied: list[Applied | None] = []

    def write(connection: Connection) -> None:
        migrations.upgrade(connection, "tenant")
        applied.append(fill(connection))

    return Template(_in_memory(write), schema_version, applied[0])


def _in_memory(write: Callable[[Connection], None]) -> sqlite3.Connection:
    driver = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    driver.execute("PRAGMA foreign_keys=ON")
    driver.execute("PRAGMA secure_delete=ON")
    driver.execute("BEGIN")
    connection = connection_over(driver)
    write(connection)
    connection.close()
    driver.execute("COMMIT")
    driver.execute("VACUUM")
    return driver


def new_image(write: Callable[[Connection], None]) -> bytes:
    """A whole database as bytes."""
    driver = _in_memory(write)
    try:
        return driver.serialize()
    finally:
        driver.close()


_INSERT_TENANT = (
    "INSERT INTO tenant (id, incarnation, config_version, converging, applied_digest, applied_incarnation,"
    " applied_version, conflicts, dangling) VALUES (?, ?, 1, 1, ?, ?, ?, '[]', '[]')"
)
