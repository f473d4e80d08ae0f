"""What lies in the source while its tenant is being moved: a log of changed keys, and a fence that is open or closed.

The triggers of both are made at once, long before the fence is needed; closing it is one row, and one row is all that
who closes it has to write. A table of marks is left out: it tells of transactions of this database, not of the tenant.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    update,
)

from controlplane.registry.operations import LeaseLost
from core.database.faults import MOVED
from core.database.triggers import Following, Refusing, Trigger, create_triggers, drop_triggers, trigger_names
from core.errors import Conflict
from provisioning.transfer import Shape
from provisioning.transfer.tables import TENANT
from tenant_runtime.models import TenantBase

PREFIX = "move_"
LEFT_OUT = frozenset({"transaction_marks"})
KEY_PLACES = 3
"""Columns of the longest primary key. All of them are texts."""

_METADATA = MetaData()
# Nothing is ever deleted from the log, so it needs no AUTOINCREMENT, which would leave a table of SQLite's own behind.
LOG = Table(
    "move_log",
    _METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("of_table", String, nullable=False),
    *(Column(f"key{place}", String) for place in range(KEY_PLACES)),
)
STATE = Table(
    "move_state",
    _METADATA,
    Column("attempt", String, nullable=False),
    Column("closed", Integer, nullable=False),
)
_EVENTS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
_IS_CLOSED = f"(SELECT closed FROM {STATE.name}) = 1"


def begin(connection: Connection, attempt: str) -> None:
    """An earlier try's goes first: its fence opens, its log is of no use."""
    remove(connection)
    _METADATA.create_all(connection)
    connection.execute(insert(STATE), {"attempt": attempt, "closed": 0})


def watch(connection: Connection, shapes: Sequence[Shape], attempt: str) -> None:
    """Some tables from here on. A few at a time, because whoever writes waits for it."""
    check_own(connection, attempt)
    create_triggers(connection, _triggers(shapes))


def remove(connection: Connection) -> None:
    """Safe to repeat, and right for a copy of the source too."""
    drop_triggers(connection, PREFIX)
    _METADATA.drop_all(connection)


def remove_own(connection: Connection, attempt: str) -> None:
    """Only what this try made: another may be at work since."""
    if inspect(connection).has_table(STATE.name) and _attempt(connection) == attempt:
        remove(connection)


def close(connection: Connection, shapes: Sequence[Shape], attempt: str) -> None:
    """From this commit on nobody writes. Refused when a change may have gone by unnoticed: a migration makes all
    triggers anew and these not."""
    check_own(connection, attempt)
    wanted = {trigger.name for trigger in _triggers(shapes)}
    if not wanted <= set(trigger_names(connection, PREFIX)):
        raise Conflict("The schema of the tenant's database was changed meanwhile.", code="move_disturbed")
    connection.execute(update(STATE).values(closed=1))


def check_own(connection: Connection, attempt: str) -> None:
    if not inspect(connection).has_table(STATE.name) or _attempt(connection) != attempt:
        raise LeaseLost


def is_closed(connection: Connection) -> bool:
    if not inspect(connection).has_table(STATE.name):
        return False
    return connection.execute(select(STATE.c.closed)).scalar_one_or_none() == 1


def _attempt(connection: Connection) -> str | None:
    found: str | None = connection.execute(select(STATE.c.attempt)).scalar_one_or_none()
    return found


def _triggers(shapes: Sequence[Shape]) -> Iterator[Trigger]:
    for shape in shapes:
        for event in _EVENTS:
            yield from _of(shape, event)


def _of(shape: Shape, event: str) -> Iterator[Trigger]:
    table, name = shape.table.name, f"{PREFIX}{shape.table.name}_{event.lower()}"
    yield Refusing(name=f"{name}_fence", event=event, table=table, condition=_IS_CLOSED, message=MOVED)
    if shape.table is TENANT:  # one row, which every round takes along
        return
    columns = ", ".join(f"key{place}" for place in range(len(shape.key)))
    rows = " UNION ".join(
        f"SELECT '{table}', {', '.join(f'{row}.{column.name}' for column in shape.key)}"
        for row in _EVENTS[event]
    )
    statement = f"INSERT INTO {LOG.name} (of_table, {columns}) {rows}"
    yield Following(name=f"{name}_log", event=event, table=table, statement=statement)


def moved(shapes: list[Shape]) -> list[Shape]:
    return [shape for shape in shapes if shape.table.name not in LEFT_OUT]


assert all(len(table.primary_key) <= KEY_PLACES for table in TenantBase.metadata.tables.values())
