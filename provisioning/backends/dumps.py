"""A libSQL server's own copy of a database: SQL text, taken in one read, which comes in a chunk for every value.

A general client takes longer for each of those than SQLite for the row, so this is the standard library's.
"""

import http.client
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from core.database import DatabaseRef
from core.database.tokens import bearer
from core.errors import DatabaseMissing, DatabaseUnavailable
from provisioning.backends.scripts import write_file

SECONDS = 60.0
"""Without a byte; not for all of it."""
PAUSES = (0.05, 0.2, 0.5)
"""Seconds before a 404 is asked about again: a server that is too busy answers it of databases that it has."""
_CHUNK = 1 << 20


def snapshot(ref: DatabaseRef, target: Path) -> None:
    for pause in (*PAUSES, None):
        try:
            with _dump(ref) as chunks:
                write_file(chunks, target, ref)
            return
        except DatabaseMissing:
            if pause is None:
                raise
            time.sleep(pause)


@cache
def public_authorities() -> ssl.SSLContext:
    """Read once: it takes longer than a copy of a small database."""
    return httpx.create_ssl_context(trust_env=False)


@contextmanager
def _dump(ref: DatabaseRef) -> Generator[Iterator[bytes], None, None]:
    remote, split = ref.server, urlsplit(ref.server.url)
    host = split.netloc if remote.is_alone else f"{remote.name}.{split.netloc}"
    token = bearer(remote.secret, remote.name)()
    connection = _connection(split.scheme, split.hostname or "", split.port)
    try:
        headers = {"Host": host, "Authorization": f"Bearer {token}"}
        connection.request("GET", f"{split.path}/dump", headers=headers)
        answer = connection.getresponse()
        if answer.status == 404:
            raise DatabaseMissing
        if answer.status != 200:
            raise DatabaseUnavailable from RuntimeError(f"a dump was answered {answer.status}")
        yield iter(lambda: answer.read(_CHUNK), b"")
    except (OSError, http.client.HTTPException) as error:
        raise DatabaseUnavailable from error
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=SECONDS)
    return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=public_authorities())
