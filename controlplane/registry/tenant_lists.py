"""Lists of tenants for the platform API: filters, a fixed choice of orders, pages by offset and by key.

Each costs what the page costs, not what the fleet does (`specs/tenancy.md` section 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select, tuple_

from controlplane.models import RegistryBase
from controlplane.registry.tenants import RegisteredTenant, registered
from core.database.sql import json_array_has
from core.errors import InvalidQuery

_TENANTS = RegistryBase.metadata.tables["tenants"]
SORTS = ("created_at", "id", "display_name", "updated_at", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantQuery:
    """What is asked for. `organization_ids` narrows it to what an operator without `read:tenants` may see.

    Without `states`, tombstones are left out.
    """

    q: str | None = None
    states: tuple[str, ...] = ()
    label: str | None = None
    organization_ids: tuple[str, ...] | None = None
    include_control_plane: bool = True
    sort: str = "created_at"
    descending: bool = False


def list_tenants(
    connection: Connection, query: TenantQuery, *, offset: int = 0, limit: int = 50
) -> list[RegisteredTenant]:
    statement = _ordered(_filtered(select(_TENANTS), query), query).offset(offset).limit(limit)
    return [registered(row) for row in connection.execute(statement)]


def list_tenants_after(
    connection: Connection, query: TenantQuery, *, after: tuple[Any, str] | None, limit: int
) -> list[RegisteredTenant]:
    """The page after (value of the sort column, id) of the last one seen: deep pages cost what the first does."""
    statement = _filtered(select(_TENANTS), query)
    if after is not None:
        statement = statement.where(_beyond(query, *after))
    return [registered(row) for row in connection.execute(_ordered(statement, query).limit(limit))]


def count_tenants(connection: Connection, query: TenantQuery) -> int:
    return int(connection.execute(_filtered(select(func.count()).select_from(_TENANTS), query)).scalar_one())


def position_of(tenant: RegisteredTenant, query: TenantQuery) -> tuple[Any, str]:
    return getattr(tenant, query.sort), tenant.id


def states_of_all(connection: Connection) -> dict[str, int]:
    """How many tenants are in each state."""
    rows = connection.execute(select(_TENANTS.c.state, func.count()).group_by(_TENANTS.c.state))
    return {row[0]: row[1] for row in rows}


def schema_versions_of_all(connection: Connection) -> dict[str, int]:
    """How many tenants with a database stand at each schema version."""
    rows = connection.execute(
        select(_TENANTS.c.schema_version, func.count())
        .where(_TENANTS.c.state != "deleted")
        .group_by(_TENANTS.c.schema_version)
    )
    return {row[0] or "none": row[1] for row in rows}


def failing_tenants(connection: Connection, limit: int = 20) -> Sequence[RegisteredTenant]:
    statement = select(_TENANTS).where(_TENANTS.c.state == "failed").order_by(_TENANTS.c.created_at)
    return [registered(row) for row in connection.execute(statement.limit(limit))]


def _filtered(statement: Select[Any], query: TenantQuery) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if query.states:
        conditions.append(_TENANTS.c.state.in_(query.states))
    else:
        conditions.append(_TENANTS.c.state != "deleted")
    if query.q:
        wanted = query.q.lower()
        conditions.append(
            or_(
                _TENANTS.c.id.contains(wanted, autoescape=True),
                func.lower(_TENANTS.c.display_name).contains(wanted, autoescape=True),
            )
        )
    if query.label is not None:
        conditions.append(json_array_has(_TENANTS.c.labels, query.label))
    if query.organization_ids is not None:
        conditions.append(_TENANTS.c.organization_id.in_(query.organization_ids))
    if not query.include_control_plane:
        conditions.append(_TENANTS.c.is_control_plane.is_(False))
    return statement.where(and_(*conditions))


def _ordered(statement: Select[Any], query: TenantQuery) -> Select[Any]:
    if query.sort not in SORTS:
        raise InvalidQuery(f"Tenants can be sorted by {', '.join(SORTS)}.")
    columns = [_TENANTS.c[query.sort], _TENANTS.c.id]
    return statement.order_by(*(column.desc() if query.descending else column.asc() for column in columns))


def _beyond(query: TenantQuery, value: Any, tenant_id: str) -> ColumnElement[bool]:
    """A comparison of rows, for which an index is entered at the place itself. Spelled out with OR it is walked."""
    place, there = tuple_(_TENANTS.c[query.sort], _TENANTS.c.id), tuple_(literal(value), literal(tenant_id))
    return place < there if query.descending else place > there
