"""Operations that did not go through, for whoever looks after the installation (`specs/faults.md` K7)."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from controlplane.models import RegistryBase
from controlplane.registry.moments import is_past
from controlplane.registry.tenants import SERVING

_OPERATIONS, _TENANTS = (RegistryBase.metadata.tables[name] for name in ("operations", "tenants"))

GIVEN_UP_MS = 3_600_000
"""So long one that was given up is told; one that is tried again is told until it went through."""


def failing_operations(connection: Connection, now: int, limit: int = 20) -> list[dict[str, Any]]:
    """For the list of what needs attention, where tenants that could not be made have a line of their own."""
    statement = (
        select(_OPERATIONS.c.tenant_id, _OPERATIONS.c.kind, _OPERATIONS.c.error)
        .join(_TENANTS, _TENANTS.c.id == _OPERATIONS.c.tenant_id)
        .where(_is_failing(now), _TENANTS.c.state != "failed")
        .order_by(_OPERATIONS.c.updated_at.desc(), _OPERATIONS.c.id)
        .limit(limit)
    )
    return [_told(row) for row in connection.execute(statement)]


def count_failing_operations(connection: Connection, now: int) -> int:
    statement = (
        select(func.count())
        .select_from(_OPERATIONS)
        .join(_TENANTS, _TENANTS.c.id == _OPERATIONS.c.tenant_id)
        .where(_is_failing(now))
    )
    return int(connection.execute(statement).scalar_one())


def _is_failing(now: int) -> ColumnElement[bool]:
    """What was given up for the sake of a deletion has failed nobody."""
    given_up = and_(
        _OPERATIONS.c.state == "cancelled",
        _OPERATIONS.c.error.is_not(None),
        ~is_past(_OPERATIONS.c.ended_at + GIVEN_UP_MS, now, GIVEN_UP_MS),
        _TENANTS.c.state.in_(SERVING),
    )
    return or_(_OPERATIONS.c.state == "failed", given_up)


def _told(row: Row[Any, Any, Any]) -> dict[str, Any]:
    return {"id": row.tenant_id, "state": f"{row.kind}_failed", "error": row.error}
