"""A SQLite database as SQL text and back: how a whole database crosses to a libSQL server and returns.

Tables, rows, then indexes, triggers and views, so that no trigger meets the rows on their way. A script comes in
portions that a server takes as one request each; that they are one transaction is the caller's part.
"""

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core.database import DatabaseRef
from core.errors import DatabaseCorrupt, DatabaseUnavailable, WrongDatabase

PORTION = 1_000_000
"""Characters of a request: a server parses it whole."""
ROWS = 100
_DEFERRED = "PRAGMA defer_foreign_keys = ON;"


@contextmanager
def opened_image(image: bytes) -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(":memory:")) as driver:
        driver.deserialize(image)
        yield driver


@contextmanager
def opened_copy(path: Path) -> Generator[sqlite3.Connection, None, None]:
    """A file that is nobody's database yet, so that nobody has it open."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as driver:
        yield driver


def identity(driver: sqlite3.Connection, ref: DatabaseRef) -> tuple[str, str]:
    try:
        row = driver.execute(ref.roll.select_identity).fetchone()
    except sqlite3.DatabaseError as error:
        raise DatabaseCorrupt from error
    if row is None:
        raise DatabaseCorrupt
    return row[0], row[1]


def portions(driver: sqlite3.Connection) -> Iterator[str]:
    """For a transaction in an empty database."""
    portion, size = [_DEFERRED], 0
    for statement in _statements(driver):
        portion.append(statement)
        size += len(statement)
        if size > PORTION:
            yield "\n".join(portion)
            portion, size = [], 0
    if portion:
        yield "\n".join(portion)


def _statements(driver: sqlite3.Connection) -> Iterator[str]:
    tables = driver.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " ORDER BY rowid"
    ).fetchall()
    for _, sql in tables:
        yield f"{sql};"
    for name, _ in tables:
        yield from _inserts(driver, name)
    for (sql,) in driver.execute(
        "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL"
        " ORDER BY type, rowid"
    ):
        yield f"{sql};"


def _inserts(driver: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [
        _quoted(row[1]) for row in driver.execute(f"PRAGMA table_xinfo({_quoted(table)})") if not row[6]
    ]
    literals = " || ',' || ".join(f"quote({column})" for column in columns)
    rows = driver.execute(f"SELECT '(' || {literals} || ')' FROM {_quoted(table)}")
    head = f"INSERT INTO {_quoted(table)} ({', '.join(columns)}) VALUES "
    while some := rows.fetchmany(ROWS):
        yield head + ",\n".join(values for (values,) in some) + ";"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def write_file(chunks: Iterable[bytes], target: Path, ref: DatabaseRef) -> None:
    """The file that a server's dump describes, checked: whole, consistent, and of the tenant that it should be of."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as driver:
            _load(driver, chunks)
            _check(driver, ref)
    except sqlite3.Error as error:
        target.unlink()
        raise DatabaseUnavailable from error
    except BaseException:
        target.unlink()
        raise
    _sync(target)
    _sync(target.parent)


def _load(driver: sqlite3.Connection, chunks: Iterable[bytes]) -> None:
    """Statements end at a line's end. A dump that was cut short lacks its COMMIT, and is none."""
    driver.set_authorizer(_only_inside)
    statement = ""
    for line in _lines(chunks):
        statement += line
        if line.endswith(";\n") and sqlite3.complete_statement(statement):
            driver.execute(statement)
            statement = ""
    driver.set_authorizer(None)
    if statement.strip() or driver.in_transaction or not driver.total_changes:
        raise DatabaseUnavailable("The copy of the database came incomplete.")


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode() + "\n"
    if rest:
        yield rest.decode() + "\n"


def _only_inside(action: int, what: str | None, *_: str | None) -> int:
    """A server's words reach no other file, and set nothing of this process."""
    match action:
        case sqlite3.SQLITE_ATTACH | sqlite3.SQLITE_DETACH:
            return sqlite3.SQLITE_DENY
        case sqlite3.SQLITE_PRAGMA if (what or "").lower() != "foreign_keys":
            return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _check(driver: sqlite3.Connection, ref: DatabaseRef) -> None:
    if driver.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
        raise DatabaseCorrupt
    if driver.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise DatabaseCorrupt
    if identity(driver, ref) != (ref.owner, ref.incarnation):
        raise WrongDatabase


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
