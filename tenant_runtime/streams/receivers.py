"""Whom streams tell, and those that are switched off in a database that was put back as it was: whoever took a stream
from a receiver meanwhile wants them told of nothing more."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Table, inspect, select, update

from tenant_runtime.models import EventStream, LogStream

_EVENTS, _LOGS = EventStream.__table__, LogStream.__table__
_ENDPOINTS = ("webhook_endpoint", "httpEndpoint")
_KINDS: tuple[tuple[Table, str, Column[Any]], ...] = (
    (_EVENTS, "disabled", _EVENTS.c.destination),
    (_LOGS, "paused", _LOGS.c.sink),
)
"""What says that one is off, and where its address is."""


def receivers_in(connection: Connection) -> dict[str, str]:
    """Addresses by the id of the stream, of those that are on."""
    return {id: address for _, _, id, address in _that_are_on(connection)}


def switch_off_all_but(connection: Connection, receivers: Mapping[str, str], now: int) -> None:
    for table, off, id, address in list(_that_are_on(connection)):
        if receivers.get(id) != address:
            connection.execute(update(table).where(table.c.id == id).values(status=off, updated_at=now))


def _that_are_on(connection: Connection) -> Iterator[tuple[Table, str, str, str]]:
    for table, off, told in _KINDS:
        if not inspect(connection).has_table(table.name):  # in an older schema there are none
            continue
        are_on = select(table.c.id, told).where(table.c.status != off)
        for id, said in connection.execute(are_on).all():
            yield table, off, id, _address(said)


def _address(said: Mapping[str, Any]) -> str:
    kept = said.get("configuration", said)
    return next(str(kept[name]) for name in _ENDPOINTS if name in kept)
