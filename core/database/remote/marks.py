"""A row that a transaction writes with its COMMIT, by which it is found when the COMMIT was not answered.

libSQL has no number of a transaction that could be asked after; PostgreSQL has one, but may give it to another
transaction after a crash. A tenant's database of an older schema has no such table: there an unanswered COMMIT stays
unknown.
"""

import secrets
import time

IS_THERE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'transaction_marks'"
PUT = "INSERT INTO transaction_marks (id, created_at) VALUES (?, ?)"
FIND = "SELECT count(*) FROM transaction_marks WHERE id = ?"
FORGET = "DELETE FROM transaction_marks WHERE created_at < ?"

KEPT_MS = 3_600_000
"""Nobody asks after a COMMIT for longer than some seconds."""

_FORGETS_ONE_IN = 64


def new_mark() -> str:
    return secrets.token_hex(16)


def put(mark: str) -> list[tuple[str, tuple[object, ...], None]]:
    """Statements that travel with COMMIT. Now and then the old marks go with them."""
    now = time.time_ns() // 1_000_000
    steps: list[tuple[str, tuple[object, ...], None]] = [(PUT, (mark, now), None)]
    if secrets.randbelow(_FORGETS_ONE_IN) == 0:
        steps.append((FORGET, (now - KEPT_MS,), None))
    return steps
