"""From what an engine says to what the caller may know (`core/errors.py`)."""

import re
import sqlite3
import traceback

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from core.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseMoved,
    DatabaseUnavailable,
    InvalidInput,
    ManagedByControlPlane,
    ManagedByTenant,
)

MOVED = "tenant_moved"
"""What a fenced database says to whoever writes."""

_PROTECTED = re.compile(r"managed_by_control_plane:(\w+)")

_BY_CODE: dict[int, type[DatabaseUnavailable]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_FULL: DatabaseFull,
    sqlite3.SQLITE_CORRUPT: DatabaseCorrupt,
    sqlite3.SQLITE_NOTADB: DatabaseCorrupt,
    sqlite3.SQLITE_IOERR: DatabaseUnavailable,
    sqlite3.SQLITE_READONLY: DatabaseUnavailable,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnavailable,
    sqlite3.SQLITE_PROTOCOL: DatabaseUnavailable,
    sqlite3.SQLITE_NOLFS: DatabaseUnavailable,
}

_BREAKS_THE_LANE = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)

_REFUSED_COMMIT = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})


class UnitBroken(RuntimeError):
    """A unit of work did what no unit may."""

    def __init__(
        self, sentence: str = "a unit of work ended its transaction or left a savepoint open"
    ) -> None:
        super().__init__(sentence)


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code, 0 when there is none."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def is_busy(error: sqlite3.Error) -> bool:
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def breaks_the_lane(error: BaseException) -> bool:
    """Whether the connection should be opened anew before it is trusted again."""
    return primary_code(error) in _BREAKS_THE_LANE


def is_refusal(error: sqlite3.Error) -> bool:
    """Whether a failed COMMIT certainly did nothing. Any other failure leaves the outcome unknown."""
    return primary_code(error) in _REFUSED_COMMIT


def told(error: BaseException) -> Exception:
    """The exception that the caller of a unit gets, always one that an event loop can carry."""
    if isinstance(error, (DBAPIError, sqlite3.Error)):
        return _told_of_database(error)
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return _because(UnitBroken(f"a unit of work raised {type(error).__name__}"), error)


def _told_of_database(error: DBAPIError | sqlite3.Error) -> Exception:
    """A trigger's words come first; what follows may be a value of the row (PostgreSQL's DETAIL)."""
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if text.startswith(MOVED):
        return _because(DatabaseMoved(), error)
    if found := _PROTECTED.match(text):
        return _because(ManagedByControlPlane(found[1]), error)
    if text.startswith("managed_by_tenant"):
        return _because(ManagedByTenant(), error)
    if known := _BY_CODE.get(primary_code(error)):
        return _because(known(), error)
    if isinstance(error, (DataError, sqlite3.DataError)):
        return _because(InvalidInput("The request holds a value that cannot be stored."), error)
    if isinstance(error, sqlite3.IntegrityError):
        return _because(IntegrityError("COMMIT", None, error), error)
    return error


def _because(told_error: Exception, cause: BaseException) -> Exception:
    told_error.__cause__ = cause
    return told_error


def release_cursors(error: BaseException) -> None:
    """Drop the local variables of the frames that an exception holds.

    A unit that raises inside `for row in conn.execute(...)` would keep its statement running for as long as the
    exception lives, and with it the read transaction: the next unit of the lane would see an old snapshot.
    """
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            return
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
