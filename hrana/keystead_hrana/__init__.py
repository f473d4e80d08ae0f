"""A DB-API 2.0 driver and SQLAlchemy dialect for libSQL servers (sqld) and Turso, over Hrana 3.

Synchronous, for units of work that say themselves where their transaction begins. A connection is at most one stream
of the server; sockets are shared. Owns the wire, what is retried and what its errors mean; knows nothing of tenants.
PEP 249, and for SQLAlchemy `sqlite+hrana://` (`dialect.py`).
"""

import datetime

from keystead_hrana.connection import Connection
from keystead_hrana.cursor import Cursor
from keystead_hrana.dbapi import BaseConnection
from keystead_hrana.errors import (
    Blocked,
    Busy,
    CommitUnknown,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NamespaceMissing,
    NotSent,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    ResponseTooLarge,
    StreamLost,
    Unauthorized,
    Warning,  # noqa: A004 - PEP 249 names it so
)
from keystead_hrana.http import Sockets
from keystead_hrana.opening import connect

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"
version = "0.1.0"
sqlite_version = "3.45.1"
sqlite_version_info = (3, 45, 1)
"""The oldest that a libSQL server in use is built on; asking each server would cost a request."""

Binary = bytes
Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
DateFromTicks = datetime.date.fromtimestamp
STRING = str
BINARY = bytes
NUMBER = float
DATETIME = datetime.datetime
ROWID = int

__all__ = [
    "BaseConnection",
    "Blocked",
    "Busy",
    "CommitUnknown",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NamespaceMissing",
    "NotSent",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "ResponseTooLarge",
    "Sockets",
    "StreamLost",
    "Unauthorized",
    "Warning",
    "connect",
]
