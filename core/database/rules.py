"""Which rule of the schema an error says was broken, whatever engine says it."""

from typing import Literal

from sqlalchemy.exc import IntegrityError

Rule = Literal["unique", "reference"]

_UNIQUE_VIOLATION = "23505"
_FOREIGN_KEY_VIOLATION = "23503"


def broken_rule(error: IntegrityError) -> Rule | None:
    """None for any other. Only PostgreSQL has codes for it everywhere; the others name it in their message."""
    code, text = getattr(error.orig, "sqlstate", None), str(error.orig)
    if code == _UNIQUE_VIOLATION or "UNIQUE constraint" in text:
        return "unique"
    if code == _FOREIGN_KEY_VIOLATION or "FOREIGN KEY constraint" in text:
        return "reference"
    return None
