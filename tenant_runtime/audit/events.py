"""One event, and how it is written in the unit of the change that it tells of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam

from core.database import Prepared
from core.database.sql import insert
from core.ids import new_id
from tenant_runtime.audit.codes import CODES
from tenant_runtime.models import LogEvent

_table = LogEvent.__table__
_COLUMNS: dict[str, Any] = {
    column.name: bindparam(column.name) for column in _table.c if column.name != "sequence"
}
_INSERT = Prepared(insert(_table).values(_COLUMNS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One log event. `type` is one of `audit.codes.CODES`."""

    type: str
    created_at: int
    id: str = field(default_factory=lambda: new_id("log"))
    description: str | None = None
    client_id: str | None = None
    client_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    organization_id: str | None = None
    connection: str | None = None
    audience: str | None = None
    scope: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type not in CODES:
            raise ValueError(f"{self.type!r} is not in tenant_runtime/audit/codes.py")

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def record(connection: Connection, *events: Event) -> None:
    """Write events in the unit of the change they tell of."""
    for event in events:
        _INSERT.run(connection, event.row())


_INSERT_ONCE = insert(_table).on_conflict_do_nothing(index_elements=["id"])


def record_all(connection: Connection, events: Iterable[Event]) -> None:
    """Those that an earlier try wrote, without being told so, stay as they are."""
    connection.execute(_INSERT_ONCE, [event.row() for event in events])
