"""From a URL to a connection, by either transport."""

from typing import Literal

from keystead_hrana.connection import Connection
from keystead_hrana.dbapi import BaseConnection, Mode
from keystead_hrana.http import Origin, Sockets
from keystead_hrana.stream import Server, Token

Transport = Literal["http", "libsql-client"]

_SHARED = Sockets()


def connect(
    url: str,
    namespace: str | None = None,
    token: Token = None,
    *,
    connect_timeout: float = 5.0,
    timeout: float = 30.0,
    deadline: float | None = None,
    autocommit: bool = False,
    mode: Mode = "deferred",
    foreign_keys: bool = True,
    sockets: Sockets | None = None,
    transport: Transport = "http",
) -> BaseConnection:
    """Nothing is sent yet. `timeout` bounds each request in seconds, `deadline` (of time.monotonic()) all of them.

    `autocommit`, `mode` and `foreign_keys` are for those who leave `begin` to SQLAlchemy. Sockets are kept open in the
    process and shared by its connections, unless `sockets` are given. A token that is a function is called when one is
    needed, and once more when the server refuses it.
    """
    if transport == "libsql-client":
        from keystead_hrana.libsql import LibsqlConnection

        return LibsqlConnection(
            url,
            namespace,
            token,
            timeout=timeout,
            deadline=deadline,
            autocommit=autocommit,
            mode=mode,
            foreign_keys=foreign_keys,
        )
    server = Server(Origin.of(url), namespace, token, connect_timeout, timeout, sockets or _SHARED)
    return Connection(server, deadline=deadline, autocommit=autocommit, mode=mode, foreign_keys=foreign_keys)
