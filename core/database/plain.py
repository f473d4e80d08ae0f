"""SQL text on the driver's own connection: for what is run on thousands of databases, one after the other."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any


class Plain:
    """Inside a transaction that somebody else began and will end."""

    __slots__ = ("_driver", "_violation")

    def __init__(self, driver: Any, violation: type[Exception] = sqlite3.IntegrityError) -> None:
        """`violation`: what the driver raises when a rule of the schema is broken."""
        self._driver = driver
        self._violation = violation

    def first(self, sql: str) -> Any:
        return self._driver.execute(sql).fetchone()

    def run(self, sql: str, values: Sequence[Any]) -> None:
        self._driver.execute(sql, values)

    def run_whole(self, steps: Iterable[tuple[str, Sequence[Sequence[Any]]]]) -> bool:
        """Each with every row of its values: all of it, or nothing when a rule of the schema is broken."""
        self._driver.execute("SAVEPOINT whole")
        try:
            for sql, rows in steps:
                self._driver.executemany(sql, rows)
        except self._violation:
            self._driver.execute("ROLLBACK TO whole")
            return False
        self._driver.execute("RELEASE whole")
        return True
