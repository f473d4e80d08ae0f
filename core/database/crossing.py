"""The thread that owns a connection. The only place that knows aiosqlite's inside.

aiosqlite starts the thread, opens and closes the connection in it. Between the two, `send` puts a function into
its queue without a future of its own: a lane tells its callers itself, several at once.
"""

from collections.abc import Callable

from aiosqlite import Connection

from core.database.sqlite import OpenFile


class Crossing:
    def __init__(self, connection: Connection, file: OpenFile) -> None:
        self._connection = connection
        self.file = file

    @classmethod
    async def open(cls, opener: Callable[[], OpenFile]) -> "Crossing":
        opened: list[OpenFile] = []

        def connector():  # type: ignore[no-untyped-def]  # aiosqlite wants the driver's connection
            opened.append(opener())
            return opened[0].driver

        connection = Connection(connector, iter_chunk_size=64)
        connection._thread.daemon = (
            True  # a lock held by a stopped process must not keep this one from ending
        )
        return cls(await connection, opened[0])

    def send(self, function: Callable[[], None]) -> None:
        self._connection._tx.put_nowait((None, function))

    async def close(self, last: Callable[[], None]) -> None:
        """`last` closes the connection, in its own thread, after everything sent before."""
        self.send(last)
        await self._connection.close()
