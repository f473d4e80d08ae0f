"""The rows of `deliveries`, as units: put in, claimed under a lease, over.

Waiting rows have `due_at`. A lease keeps other workers away from a row while one sends it, and ends by itself when
that one dies. An attempt is counted when it is claimed, so that what kills its sender is not tried for ever.

What was written while the clock was ahead holds nothing up when it is right again: a row that never failed is due,
and so is one whose time or lease is further away than any can be.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, insert, or_, select, update

from core.clock import LEEWAY_MS
from core.crypto.sealing import DataKey
from core.database.sql import greater, lesser
from tenant_runtime.audit import Event, record
from tenant_runtime.models import Delivery

KEPT_MS = 86_400_000
"""How long a delivered one can still be seen."""

FAILED_KEPT_MS = 14 * 86_400_000
SWEPT_AT_ONCE = 1000
LOOKED_AT = 256
LEASE_MS = 120_000
"""Longer than a send may take and its outcome waits to be written."""

LONGEST_WAIT_MS = 16 * 3_600_000
"""Longer than any pause between two attempts."""

PER_RECIPIENT = 4
"""Of one recipient at once, so that a slow one leaves room for others."""

_table = Delivery.__table__
_d = _table.c


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`payload` is JSON, for the sender of this `kind`; `recipient` may be shown: a client's id, an address."""

    id: str
    kind: str
    recipient: str
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claimed:
    """In the hands of one worker until `leased_until`; `attempts` counts this one."""

    id: str
    kind: str
    recipient: str
    attempts: int
    leased_until: int
    payload: bytes = field(repr=False)

    def open(self, data_key: DataKey) -> Mapping[str, Any]:
        payload: dict[str, Any] = msgspec.json.decode(
            data_key.open(self.payload, "deliveries", "payload", self.id)
        )
        return payload


def enqueue(connection: Connection, data_key: DataKey, outgoing: Outgoing, now: int) -> None:
    """In the unit of the change that it tells of. `Deliveries.soon` after the commit."""
    sealed = data_key.seal(msgspec.json.encode(outgoing.payload), "deliveries", "payload", outgoing.id)
    connection.execute(
        insert(_table),
        {
            "id": outgoing.id,
            "kind": outgoing.kind,
            "recipient": outgoing.recipient,
            "payload": sealed,
            "attempts": 0,
            "due_at": now,
            "created_at": now,
        },
    )


def next_due(connection: Connection, kinds: Collection[str], now: int) -> int | None:
    """When the next one may be claimed; None when nothing waits."""
    free_at = greater(due_at(now), _leased_until(now))
    due: int | None = connection.scalar(
        select(func.min(free_at)).where(_d.due_at > 0, _d.kind.in_(kinds))  # by the index; NULL is not
    )
    return due


def due_at(now: int | ColumnElement[int]) -> ColumnElement[int]:
    is_due = or_(_d.last_error.is_(None), _d.due_at > now + LONGEST_WAIT_MS)
    return case((is_due, lesser(_d.due_at, now)), else_=_d.due_at)


def _leased_until(now: int) -> ColumnElement[int]:
    is_held = _d.leased_until <= now + LEASE_MS + LEEWAY_MS
    return case((is_held, _d.leased_until), else_=0)


def claim(
    connection: Connection, kinds: Collection[str], busy: Collection[str], now: int, until: int, limit: int
) -> Sequence[Claimed]:
    """At most `limit`, the longest due first, none for a recipient that is `busy`."""
    due = (
        select(_d.id, _d.recipient, _d.due_at)
        .where(
            _d.due_at > 0,
            due_at(now) <= now,
            _leased_until(now) <= now,
            _d.kind.in_(kinds),
            _d.recipient.not_in(busy),
        )
        .order_by(_d.due_at, _d.id)
        .limit(LOOKED_AT)
        .subquery()
    )
    place = func.row_number().over(partition_by=due.c.recipient, order_by=(due.c.due_at, due.c.id))
    placed = select(due.c.id, due.c.due_at, place.label("place")).subquery()
    chosen = (
        select(placed.c.id)
        .where(placed.c.place <= PER_RECIPIENT)
        .order_by(placed.c.due_at, placed.c.id)
        .limit(limit)
    )
    claiming = (
        update(_table)
        .where(_d.id.in_(chosen))
        .values(leased_until=until, attempts=_d.attempts + 1)
        .returning(_d.id, _d.kind, _d.recipient, _d.attempts, _d.leased_until, _d.payload)
    )
    return [_claimed(row) for row in connection.execute(claiming)]


def _claimed(row: Row[Any]) -> Claimed:
    return Claimed(row.id, row.kind, row.recipient, row.attempts, row.leased_until, row.payload)


def record_delivered(connection: Connection, claimed: Claimed, now: int, event: Event | None = None) -> None:
    """Whoever holds the lease by now: it has arrived. What it said is not kept."""
    done = connection.execute(
        update(_table)
        .where(_d.id == claimed.id, _d.delivered_at.is_(None))
        .values(
            delivered_at=now, due_at=None, leased_until=None, failed_at=None, last_error=None, payload=b""
        )
    )
    if event is not None and done.rowcount == 1:
        record(connection, event)


def record_retry(connection: Connection, claimed: Claimed, error: str, due_at: int) -> bool:
    return _record_failure(connection, claimed, {"last_error": error, "due_at": due_at})


def record_dead(connection: Connection, claimed: Claimed, error: str, now: int, event: Event) -> bool:
    """The end of it: seen in the tenant's log, and in the row for a while."""
    over = {"last_error": error, "due_at": None, "failed_at": now, "payload": b""}
    is_ours = _record_failure(connection, claimed, over)
    if is_ours:
        record(connection, event)
    return is_ours


def _record_failure(connection: Connection, claimed: Claimed, values: Mapping[str, Any]) -> bool:
    """Only by whoever still holds it: another worker's attempt is the one that counts."""
    done = connection.execute(
        update(_table)
        .where(_d.id == claimed.id, _d.leased_until == claimed.leased_until, _d.due_at.is_not(None))
        .values(leased_until=None, **values)
    )
    return done.rowcount == 1


def sweep_deliveries(connection: Connection, now: int) -> None:
    over = _d.due_at.is_(None) & or_(_d.delivered_at < now - KEPT_MS, _d.failed_at < now - FAILED_KEPT_MS)
    connection.execute(delete(_table).where(_d.id.in_(select(_d.id).where(over).limit(SWEPT_AT_ONCE))))
