"""Whom streams tell, and those that are switched off in a database that was put back as it was: whoever took a stream
from a receiver meanwhile wants them told of nothing more."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, select, update

from tenant_runtime.models import EventStream, LogStream

_OFF: tuple[tuple[Table, str, Callable[[Row[Any]], str]], ...] = (
    (
        EventStream.__table__,
        "disabled",
        lambda row: str(row.destination["configuration"]["webhook_endpoint"]),
    ),
    (LogStream.__table__, "paused", lambda row: str(row.sink["httpEndpoint"])),
)


def receivers_in(connection: Connection) -> dict[str, str]:
    """Addresses by the id of the stream, of those that are on."""
    return {id: address for _, _, id, address in _that_are_on(connection)}


def switch_off_all_but(connection: Connection, receivers: Mapping[str, str], now: int) -> None:
    for table, off, id, address in list(_that_are_on(connection)):
        if receivers.get(id) != address:
            connection.execute(update(table).where(table.c.id == id).values(status=off, updated_at=now))


def _that_are_on(connection: Connection) -> Iterator[tuple[Table, str, str, str]]:
    for table, off, address_of in _OFF:
        for row in connection.execute(select(table).where(table.c.status != off)).all():
            yield table, off, row.id, address_of(row)
