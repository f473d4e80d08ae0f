"""Units of work for the tests of this folder."""

import asyncio
import threading

from sqlalchemy import Connection


def insert(conn: Connection, name: str) -> str:
    conn.exec_driver_sql("INSERT INTO item (name) VALUES (?)", (name,))
    return name


def names(conn: Connection) -> list[str]:
    return list(conn.exec_driver_sql("SELECT name FROM item ORDER BY id").scalars())


def count_up(conn: Connection, name: str) -> int:
    """Read, then write: what a lost update would show."""
    n = conn.exec_driver_sql("SELECT n FROM item WHERE name = ?", (name,)).scalar_one()
    conn.exec_driver_sql("UPDATE item SET n = ? WHERE name = ?", (n + 1, name))
    return int(n) + 1


def value_of(conn: Connection, name: str) -> int:
    return int(conn.exec_driver_sql("SELECT n FROM item WHERE name = ?", (name,)).scalar_one())


def set_colour(conn: Connection, value: str) -> None:
    conn.exec_driver_sql("UPDATE setting SET value = ? WHERE name = 'colour'", (value,))


def colour(conn: Connection) -> str:
    return str(conn.exec_driver_sql("SELECT value FROM setting WHERE name = 'colour'").scalar_one())


class Held:
    """Keeps the lane's thread busy, so that what comes next queues up and is committed as one group."""

    def __init__(self) -> None:
        self._begun = threading.Semaphore(0)
        self._over = threading.Event()

    def __call__(self, _: Connection) -> None:
        self._begun.release()
        self._over.wait(120)

    async def has_begun(self, times: int = 1) -> None:
        for _ in range(times):
            await asyncio.to_thread(self._begun.acquire, timeout=120)

    def let_go(self) -> None:
        self._over.set()
