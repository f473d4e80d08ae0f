"""The rows of `log_streams`, as units: what is due, claimed under a lease, the next batch, over.

The place is moved after the receiver said that it has the batch: what dies in between sends it again. A lease keeps
other workers away meanwhile, and ends by itself. Times that lie further away than any can be are of a clock that was
ahead, and hold nothing up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from core.clock import LEEWAY_MS
from core.crypto.sealing import DataKey
from tenant_runtime.audit import Event, record
from tenant_runtime.audit.codes import CATEGORIES, types_of
from tenant_runtime.audit.shapes import SHOWN
from tenant_runtime.deliveries.queue import LONGEST_WAIT_MS
from tenant_runtime.models import LogEvent, LogStream
from tenant_runtime.streams.secrets import StreamSecrets, open_secrets

LEASE_MS = 60_000
MOST = 100
LOOKED_AT = 5_000
"""Events that one look passes over at most, for one that matches."""

_table, _events = LogStream.__table__, LogEvent.__table__
_s, _e = _table.c, _events.c
NEWEST = select(func.coalesce(func.max(_e.sequence), 0))
_ACTIVE = select(_s.id, _s.position, _s.due_at, _s.leased_until).where(_s.status == "active").order_by(_s.id)
_ONE = select(_table).where(_s.id == bindparam("of"), _s.status == "active")
_REACH = (
    select(_e.sequence)
    .where(_e.sequence > bindparam("after"))
    .order_by(_e.sequence)
    .limit(LOOKED_AT)
    .subquery()
)
_LAST_IN_REACH = select(func.max(_REACH.c.sequence), func.count())


@dataclass(frozen=True, slots=True)
class Due:
    """`again_at` is when one that waits is due; None when none does."""

    ids: Sequence[str]
    again_at: int | None
    are_any: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    id: str
    sink: dict[str, Any]
    types: Sequence[str] | None
    position: int
    attempts: int
    leased_until: int
    secrets: StreamSecrets = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """What lies between two places, as far as the stream wants it. `is_last`: nothing lies beyond."""

    rows: Sequence[Row[Any]]
    position: int
    is_last: bool


def due(connection: Connection, now: int) -> Due:
    streams = connection.execute(_ACTIVE).all()
    if not streams:
        return Due((), None, are_any=False)
    newest = connection.execute(NEWEST).scalar_one()
    behind = [row for row in streams if row.position < newest]
    ready = {row.id: max(_due_at(row, now), _free_at(row, now)) for row in behind}
    later = [at for at in ready.values() if at > now]
    return Due([id for id, at in ready.items() if at <= now], min(later, default=None), are_any=True)


def _due_at(row: Any, now: int) -> int:
    return 0 if row.due_at is None or row.due_at > now + LONGEST_WAIT_MS else int(row.due_at)


def _free_at(row: Any, now: int) -> int:
    is_held = row.leased_until is not None and row.leased_until <= now + LEASE_MS + LEEWAY_MS
    return int(row.leased_until) if is_held else 0


def claim(connection: Connection, id: str, data_key: DataKey, now: int) -> Claimed | None:
    """None: another worker has it, or it is not due any more."""
    row = connection.execute(_ONE, {"of": id}).one_or_none()
    if row is None or max(_due_at(row, now), _free_at(row, now)) > now:
        return None
    until = now + LEASE_MS
    connection.execute(update(_table).where(_s.id == id).values(leased_until=until))
    categories = [item["name"] for item in row.filters if item["name"] in CATEGORIES]
    return Claimed(
        id=id,
        sink=row.sink,
        types=types_of(categories) if row.filters else None,
        position=row.position,
        attempts=row.attempts,
        leased_until=until,
        secrets=open_secrets(data_key, _table.name, id, row.secrets),
    )


def next_batch(connection: Connection, types: Sequence[str] | None, after: int) -> Batch:
    reach, looked_at = connection.execute(_LAST_IN_REACH, {"after": after}).one()
    if reach is None:
        return Batch((), after, is_last=True)
    rows = connection.execute(_wanted(types), {"after": after, "reach": reach}).all()
    if len(rows) == MOST:
        return Batch(rows, rows[-1].sequence, is_last=rows[-1].sequence == reach and looked_at < LOOKED_AT)
    return Batch(rows, reach, is_last=looked_at < LOOKED_AT)


def _wanted(types: Sequence[str] | None) -> Select[Any]:
    between = (_e.sequence > bindparam("after"), _e.sequence <= bindparam("reach"))
    statement = select(*SHOWN, _e.sequence).where(*between).order_by(_e.sequence).limit(MOST)
    return statement if types is None else statement.where(_e.type.in_(types))


def advance(
    connection: Connection, claimed: Claimed, position: int, now: int, goes_on: bool
) -> Claimed | None:
    """It has arrived; who goes on holds it for longer. None: the lease is another's, or the stream was changed."""
    until = now + LEASE_MS if goes_on else None
    values = {"position": position, "delivered_at": now, **_FRESH, "leased_until": until}
    if not _end(connection, claimed, values):
        return None
    return replace(claimed, position=position, attempts=0, leased_until=until or 0)


def settle(connection: Connection, claimed: Claimed, position: int) -> bool:
    """Nothing between the places is for this stream."""
    return _end(connection, claimed, {"position": position, "leased_until": None})


_FRESH: dict[str, Any] = {"attempts": 0, "due_at": None, "last_error": None}


def record_retry(connection: Connection, claimed: Claimed, error: str, due_at: int) -> bool:
    values = {"attempts": claimed.attempts + 1, "last_error": error, "due_at": due_at, "leased_until": None}
    return _end(connection, claimed, values)


def record_suspended(connection: Connection, claimed: Claimed, error: str, now: int, event: Event) -> bool:
    """Given up. The place stays, so that it goes on there when somebody makes it active again."""
    values = {"status": "suspended", "last_error": error, "due_at": None, "leased_until": None}
    is_ours = _end(connection, claimed, {**values, "attempts": claimed.attempts + 1, "updated_at": now})
    if is_ours:
        record(connection, event)
    return is_ours


def _end(connection: Connection, claimed: Claimed, values: dict[str, Any]) -> bool:
    """Only by whoever still holds it."""
    held = (_s.id == claimed.id, _s.leased_until == claimed.leased_until, _s.status == "active")
    return connection.execute(update(_table).where(*held).values(values)).rowcount == 1
