"""The thread that owns a connection. The only place that knows aiosqlite's inside.

aiosqlite starts the thread, opens and closes the connection in it. Between the two, `send` puts a function into
its queue without a future of its own: a lane tells its callers itself, several at once.
"""

import sqlite3
from collections.abc import Callable

from aiosqlite import Connection

from core.database.sqlite import OpenFile


class Crossing:
    def __init__(self, connection: Connection, file: OpenFile) -> None:
        self._connection = connection
        self.file = file

    @classmethod
    async def open(cls, opener: Callable[[], OpenFile]) -> "Crossing":
        opened: list[OpenFile | BaseException] = []

        def connector() -> sqlite3.Connection:
            try:
                file = opener()
            except BaseException as error:
                opened.append(error)
                return sqlite3.connect(
                    ":memory:"
                )  # aiosqlite would leave the thread of a failed opening behind
            opened.append(file)
            return file.driver

        connection = Connection(connector, iter_chunk_size=64)
        connection._thread.daemon = (
            True  # a lock held by a stopped process must not keep this one from ending
        )
        running = await connection
        if isinstance(opened[0], BaseException):
            await running.close()
            raise opened[0]
        return cls(running, opened[0])

    def send(self, function: Callable[[], None]) -> None:
        self._connection._tx.put_nowait((None, function))

    async def close(self, last: Callable[[], None]) -> None:
        """`last` closes the connection, in its own thread, after everything sent before."""
        self.send(last)
        await self._connection.close()
