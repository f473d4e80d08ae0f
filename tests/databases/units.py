"""Units of work for the tests of this folder."""

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


def wait_for(conn: Connection, event: threading.Event) -> None:
    """Keeps the lane's thread busy, so that what comes next queues up and is committed as one group."""
    event.wait(10)
