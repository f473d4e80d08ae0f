"""Databases that a tenant no longer points to: kept for a grace time after a restore or a move, then deleted."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, select, update

from controlplane.models import RegistryBase
from controlplane.registry.tenants import RegisteredTenant
from core.database.sql import insert

_RETIRED = RegistryBase.metadata.tables["retired_databases"]


class RetiredDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """One life of a tenant's database that is over; `credentials` are sealed as they were in the tenant's row."""

    incarnation: str
    generation: int
    tenant_id: str
    backend: str
    location: str
    credentials: bytes | None
    node: str | None
    retired_at: int
    delete_after: int


def retired_of(tenant: RegisteredTenant, now: int, delete_after: int) -> RetiredDatabase:
    return RetiredDatabase(
        incarnation=tenant.incarnation,
        generation=tenant.generation,
        tenant_id=tenant.id,
        backend=tenant.backend,
        location=tenant.location,
        credentials=tenant.credentials,
        node=tenant.node,
        retired_at=now,
        delete_after=delete_after,
    )


def _retired(row: Row[Any]) -> RetiredDatabase:
    return RetiredDatabase(**row._mapping)


def insert_retired(connection: Connection, retired: RetiredDatabase) -> None:
    connection.execute(insert(_RETIRED), msgspec.structs.asdict(retired))


def due_retired(connection: Connection, now: int, node: str, limit: int = 20) -> list[RetiredDatabase]:
    """Past their grace and within this machine's reach."""
    is_here = _RETIRED.c.node.is_(None) | (_RETIRED.c.node == node)
    statement = select(_RETIRED).where(_RETIRED.c.delete_after <= now, is_here)
    return [
        _retired(row) for row in connection.execute(statement.order_by(_RETIRED.c.delete_after).limit(limit))
    ]


def retired_of_tenant(connection: Connection, tenant_id: str) -> list[RetiredDatabase]:
    statement = select(_RETIRED).where(_RETIRED.c.tenant_id == tenant_id).order_by(_RETIRED.c.generation)
    return [_retired(row) for row in connection.execute(statement)]


def retire_until(connection: Connection, retired: RetiredDatabase, moment: int) -> None:
    connection.execute(update(_RETIRED).where(*_key(retired)).values(delete_after=moment))


def remove_retired(connection: Connection, retired: RetiredDatabase) -> None:
    connection.execute(delete(_RETIRED).where(*_key(retired)))


def _key(retired: RetiredDatabase) -> tuple[ColumnElement[bool], ...]:
    return _RETIRED.c.tenant_id == retired.tenant_id, _RETIRED.c.generation == retired.generation
