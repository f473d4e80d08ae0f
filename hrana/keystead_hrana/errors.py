"""What can go wrong, as PEP 249 orders it, with the classes that decide whether a transaction may be repeated.

`NotSent`: nothing reached the server; repeat. `StreamLost`: the transaction was open and is gone, nothing of it was
kept; repeat all of it. `CommitUnknown`: COMMIT was sent, or a statement that commits by itself, and no answer came;
look for what it would have written, never repeat blindly. `Busy`: refused for now, nothing kept; repeat later.
"""

_PRIMARY = [
    "SQLITE_OK",
    "SQLITE_ERROR",
    "SQLITE_INTERNAL",
    "SQLITE_PERM",
    "SQLITE_ABORT",
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_NOMEM",
    "SQLITE_READONLY",
    "SQLITE_INTERRUPT",
    "SQLITE_IOERR",
    "SQLITE_CORRUPT",
    "SQLITE_NOTFOUND",
    "SQLITE_FULL",
    "SQLITE_CANTOPEN",
    "SQLITE_PROTOCOL",
    "SQLITE_EMPTY",
    "SQLITE_SCHEMA",
    "SQLITE_TOOBIG",
    "SQLITE_CONSTRAINT",
    "SQLITE_MISMATCH",
    "SQLITE_MISUSE",
    "SQLITE_NOLFS",
    "SQLITE_AUTH",
    "SQLITE_FORMAT",
    "SQLITE_RANGE",
    "SQLITE_NOTADB",
    "SQLITE_NOTICE",
    "SQLITE_WARNING",
]
"""SQLite's primary result codes, each at the place of its number."""

_NUMBERS = {
    **{name: number for number, name in enumerate(_PRIMARY)},
    "SQLITE_UNKNOWN": 1,
    "SQL_PARSE_ERROR": 1,
    "SQL_INPUT_ERROR": 1,
    "TRANSACTION_TIMEOUT": 5,
    "TRANSACTION_BUSY": 5,
}


class Warning(Exception):  # noqa: A001 - PEP 249 names it so
    """Never raised; PEP 249 asks for it."""


class Error(Exception):
    """`code` is the server's word, `extended_code` its finer one where it has one (Turso Cloud).

    `sqlite_errorcode` is SQLite's primary result code, 0 when SQLite has no part in it. `sent` says whether a request
    that may have had an effect left this machine.
    """

    def __init__(
        self, message: str, *, code: str | None = None, extended_code: str | None = None, sent: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.extended_code = extended_code
        self.sqlite_errorcode = primary_code(code)
        self.sent = sent


class InterfaceError(Error):
    pass


class DatabaseError(Error):
    pass


class DataError(DatabaseError):
    pass


class OperationalError(DatabaseError):
    pass


class IntegrityError(DatabaseError):
    pass


class InternalError(DatabaseError):
    pass


class ProgrammingError(DatabaseError):
    pass


class NotSupportedError(DatabaseError):
    pass


class NotSent(OperationalError):
    """Nothing reached the server: no connection, or no time left before the first request."""


class StreamLost(OperationalError):
    """The transaction is gone before its COMMIT was sent; nothing of it was kept."""


class CommitUnknown(OperationalError):
    """COMMIT, or a write that commits by itself, was sent and not answered: it happened or it did not."""

    @classmethod
    def because(cls, error: Error) -> "CommitUnknown":
        """COMMIT failed in a way that does not say whether it did anything."""
        return cls(str(error), code=error.code, extended_code=error.extended_code, sent=True)


class Busy(OperationalError):
    """Another writer has the lock, the transaction took too long, or the server has too much to do."""


class Blocked(OperationalError):
    """The database refuses reads or writes: an operator, a quota or a move has blocked it."""


class Unauthorized(OperationalError):
    """The token is missing, wrong, expired, or not good for this database or this statement."""


class NamespaceMissing(OperationalError):
    """The server says, repeatedly, that it has no such database. It may still be wrong: ask its administration."""


class ResponseTooLarge(OperationalError):
    """More rows than the server or this client is willing to carry in one answer."""


LOST = (NotSent, StreamLost, CommitUnknown, Busy, Blocked, Unauthorized, NamespaceMissing)
"""After one of these a connection is of no more use for the transaction that it was in."""

_BY_CODE: dict[str, type[Error]] = {
    "SQLITE_INTERNAL": InternalError,
    "SQLITE_NOTFOUND": InternalError,
    "SQLITE_CORRUPT": DatabaseError,
    "SQLITE_NOTADB": DatabaseError,
    "SQLITE_AUTH": DatabaseError,
    "SQLITE_TOOBIG": DataError,
    "SQLITE_CONSTRAINT": IntegrityError,
    "SQLITE_MISMATCH": IntegrityError,
    "SQLITE_MISUSE": InterfaceError,
    "SQLITE_RANGE": InterfaceError,
    "SQLITE_BUSY": Busy,
    "SQLITE_LOCKED": Busy,
    "TRANSACTION_TIMEOUT": Busy,
    "TRANSACTION_BUSY": Busy,
    "BLOCKED": Blocked,
    "RESPONSE_TOO_LARGE": ResponseTooLarge,
    "STREAM_EXPIRED": StreamLost,
    "ARGS_INVALID": ProgrammingError,
    "ARGS_BOTH_POSITIONAL_AND_NAMED": ProgrammingError,
    "SQL_MANY_STATEMENTS": ProgrammingError,
    "SQL_NO_STATEMENT": ProgrammingError,
}

_BUSY_SENTENCE = "Timed out while opening database connection"


def primary_name(code: str | None) -> str:
    """SQLITE_CONSTRAINT_UNIQUE is a kind of SQLITE_CONSTRAINT."""
    return "_".join(code.split("_")[:2]) if code and code.startswith("SQLITE_") else code or ""


def primary_code(code: str | None) -> int:
    return _NUMBERS.get(primary_name(code), 0)


def statement_error(message: str, code: str | None, extended_code: str | None) -> Error:
    """For an error that the server found in a statement, as sqlite3 would class it."""
    known = _BY_CODE.get(primary_name(code), OperationalError)
    if _BUSY_SENTENCE in message:
        known = Busy
    elif code == "ARGS_INVALID" and "too big" in message:
        known = DataError
    elif code and code.startswith("AUTH_"):
        known = Unauthorized
    return known(message.removeprefix("SQLite error: "), code=code, extended_code=extended_code, sent=True)


def is_refused_commit(error: Error) -> bool:
    """Whether a COMMIT that failed so certainly did nothing."""
    certain = isinstance(error, IntegrityError | Busy | Blocked | ProgrammingError)
    return certain or primary_name(error.code) in ("SQLITE_FULL", "SQL_PARSE_ERROR", "SQL_INPUT_ERROR")
