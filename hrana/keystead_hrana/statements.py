"""What the first words of a statement say about it: enough to keep a transaction, not a parser.

Whatever slips through (a COMMIT in a script) is seen in the server's answer: it says whether the transaction stands.
"""

import re

_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_TO_A_SAVEPOINT = re.compile(r"rollback(?:\s+transaction)?\s+to\b", re.IGNORECASE)

_CHANGES_WITHIN = re.compile(
    r"\b(?:insert(?:\s+or\s+\w+)?\s+into|replace\s+into|delete\s+from|update\s+.+?\s+set)\b",
    re.IGNORECASE | re.DOTALL,
)

_READS = frozenset({"select", "values", "explain"})
_CHANGES = frozenset({"insert", "update", "delete", "replace"})
_ENDS = frozenset({"begin", "commit", "end", "rollback"})
_READ_ONLY = _READS | {"with", "pragma", "savepoint", "release", "rollback"}


def _body(sql: str) -> str:
    start = _COMMENTS.match(sql)
    return sql[start.end() :] if start else sql


def _verb(sql: str) -> str:
    word = _WORD.match(_body(sql))
    return word[0].lower() if word else ""


def only_reads(sql: str) -> bool:
    """Certainly without effect, so that it may be repeated."""
    return _verb(sql) in _READS


def counts_rows(sql: str) -> bool:
    return _verb(sql) in _CHANGES


def may_run_in_a_read(sql: str) -> bool:
    """A change may stand behind a WITH; the server would carry it out, and undo it at the end."""
    verb = _verb(sql)
    return verb in _READ_ONLY and not (verb == "with" and _CHANGES_WITHIN.search(sql))


def is_about_the_transaction(sql: str) -> bool:
    return _verb(sql) in _ENDS and not returns_to_a_savepoint(sql)


def returns_to_a_savepoint(sql: str) -> bool:
    return _TO_A_SAVEPOINT.match(_body(sql)) is not None
