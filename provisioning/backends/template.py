"""The template of a new tenant: a database image that holds the schema and the catalogue's rows, nothing else.

Kept in memory by (schema version, catalogue digest) and made anew when either changes. No key, secret, client, id,
salt or incarnation is in it, so nothing that is one tenant's can become another's by copying.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

import migrations
from core.database.engine import connection_over

KEPT = 16


@dataclass(frozen=True, slots=True)
class Template:
    image: bytes  # in rollback mode, so that it can be changed in memory
    schema_version: str
    applied: (
        tuple[str, str, int] | None
    )  # digest, incarnation, version: None if a tenant's own ids are needed


Filling = Callable[[Connection], tuple[str, str, int] | None]
"""Writes the catalogue's rows, and answers what they amount to."""

OwnRows = Callable[[Connection], object]
"""Writes what is this tenant's alone, as converge does."""


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
                self._known.popitem(last=False)
            return template


def _make(schema_version: str, fill: Filling) -> Template:
    applied: list[tuple[str, str, int] | None] = []

    def write(connection: Connection) -> None:
        migrations.upgrade(connection, "tenant")
        applied.append(fill(connection))

    return Template(_image(write), schema_version, applied[0])


def _image(write: Callable[[Connection], None]) -> bytes:
    driver = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        driver.execute("PRAGMA foreign_keys=ON")
        driver.execute("BEGIN")
        connection = connection_over(driver)
        write(connection)
        connection.close()
        driver.execute("COMMIT")
        driver.execute("VACUUM")
        return driver.serialize()
    finally:
        driver.close()


def new_image(write: Callable[[Connection], None]) -> bytes:
    """A whole database as bytes."""
    return _image(write)


def image_of(template: Template, tenant_id: str, incarnation: str, own_rows: OwnRows) -> bytes:
    """The template with the row that says whose it is and what `own_rows` adds. All of it in memory: the schema is
    read once instead of at every step."""
    driver = sqlite3.connect(":memory:", isolation_level=None)
    try:
        driver.deserialize(template.image)
        driver.execute("PRAGMA foreign_keys=ON")
        driver.execute("BEGIN")
        digest, of, version = template.applied or (None, None, None)
        driver.execute(_INSERT_TENANT, (tenant_id, incarnation, digest, of, version))
        connection = connection_over(driver)
        own_rows(connection)
        connection.close()
        driver.execute("UPDATE tenant SET converging = 0")
        driver.execute("COMMIT")
        return driver.serialize()
    finally:
        driver.close()


_INSERT_TENANT = (
    "INSERT INTO tenant (id, incarnation, config_version, converging, applied_digest, applied_incarnation,"
    " applied_version, conflicts, dangling) VALUES (?, ?, 1, 1, ?, ?, ?, '[]', '[]')"
)
