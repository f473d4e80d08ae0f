"""Backups as the registry knows them: what there is, when the next is due, and who was erased since."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, or_, select, update

from controlplane.models import RegistryBase
from controlplane.registry.moments import is_past
from controlplane.registry.operations import LeaseLost
from controlplane.registry.tenants import SERVING, RegisteredTenant, registered
from core.database.sql import insert
from core.errors import NotFound

_BACKUPS = RegistryBase.metadata.tables["backups"]
_SCHEDULES = RegistryBase.metadata.tables["backup_schedules"]
_ERASURES = RegistryBase.metadata.tables["erasures"]
_TENANTS = RegistryBase.metadata.tables["tenants"]

REGISTRY = "@registry"
"""The owner of the registry's own backups: no tenant's id."""

LEASE_MS = 600_000
"""Longer than a copy takes; a process that died is known sooner."""


class BackupRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    owner: str
    kind: str
    taken_at: int
    backend: str
    incarnation: str
    generation: int
    schema_version: str
    size: int
    stored_size: int
    digest: str
    location: str
    node: str | None
    verified_at: int


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    owner: str
    due_at: int
    attempts: int
    last_error: str | None
    looked_at: int | None
    stamp: str | None
    backup_id: str | None
    lease_owner: str | None
    lease_expires_at: int
    fencing: int


def _backup(row: Row[Any]) -> BackupRecord:
    return BackupRecord(**row._mapping)


def put_backup(connection: Connection, backup: BackupRecord) -> None:
    """Of a run that was repeated the last one counts."""
    values = msgspec.structs.asdict(backup)
    statement = insert(_BACKUPS).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def find_backup(connection: Connection, owner: str, backup_id: str) -> BackupRecord | None:
    row = connection.execute(
        select(_BACKUPS).where(_BACKUPS.c.id == backup_id, _BACKUPS.c.owner == owner)
    ).first()
    return _backup(row) if row is not None else None


def get_backup(connection: Connection, owner: str, backup_id: str) -> BackupRecord:
    found = find_backup(connection, owner, backup_id)
    if found is None:
        raise NotFound("backup")
    return found


def list_backups(
    connection: Connection, owner: str, *, offset: int = 0, limit: int | None = None
) -> list[BackupRecord]:
    """The newest first."""
    statement = select(_BACKUPS).where(_BACKUPS.c.owner == owner)
    statement = statement.order_by(_BACKUPS.c.taken_at.desc(), _BACKUPS.c.id.desc()).offset(offset)
    return [_backup(row) for row in connection.execute(statement.limit(limit))]


def count_backups(connection: Connection, owner: str) -> int:
    statement = select(func.count()).select_from(_BACKUPS).where(_BACKUPS.c.owner == owner)
    return int(connection.execute(statement).scalar_one())


def remove_backup(connection: Connection, backup_id: str) -> None:
    connection.execute(delete(_BACKUPS).where(_BACKUPS.c.id == backup_id))


# --- when ----------------------------------------------------------------------------------------------------


def unscheduled(connection: Connection, limit: int) -> list[str]:
    """Tenants that serve and have no time for their backups yet."""
    has_one = exists().where(_SCHEDULES.c.owner == _TENANTS.c.id)
    statement = select(_TENANTS.c.id).where(_TENANTS.c.state.in_(SERVING), ~has_one)
    return [row[0] for row in connection.execute(statement.order_by(_TENANTS.c.id).limit(limit))]


def plan(connection: Connection, due: Sequence[tuple[str, int]]) -> None:
    """The first time of each; one that is planned already stays."""
    if due:
        values = [_planned(owner, due_at) for owner, due_at in due]
        connection.execute(insert(_SCHEDULES).on_conflict_do_nothing(index_elements=["owner"]), values)


def _planned(owner: str, due_at: int) -> dict[str, Any]:
    return {"owner": owner, "due_at": due_at, "attempts": 0, "lease_expires_at": 0, "fencing": 0}


def claim_due(
    connection: Connection,
    *,
    owner: str,
    node: str,
    backup_id: str,
    now: int,
    longest: int,
    dead: Collection[str] = (),
) -> tuple[Schedule, str | None] | None:
    """Take the one that has waited longest; nobody else copies it before the lease ends. `longest` is how far ahead
    a time can have been set (milliseconds). Beside it the backup that was begun last and never finished, if any."""
    free = is_past(_SCHEDULES.c.lease_expires_at, now, LEASE_MS)
    if dead:
        free = or_(free, _SCHEDULES.c.lease_owner.in_(dead))
    is_due = and_(is_past(_SCHEDULES.c.due_at, now, longest), free)
    chosen = connection.execute(
        select(_SCHEDULES.c.owner, _SCHEDULES.c.fencing, _SCHEDULES.c.backup_id)
        .where(is_due, _is_within_reach(node))
        .order_by(_SCHEDULES.c.due_at)
        .limit(1)
    ).first()
    if chosen is None:
        return None
    row = connection.execute(
        update(_SCHEDULES)
        .where(_SCHEDULES.c.owner == chosen.owner, _SCHEDULES.c.fencing == chosen.fencing)
        .values(
            lease_owner=owner,
            lease_expires_at=now + LEASE_MS,
            fencing=_SCHEDULES.c.fencing + 1,
            backup_id=backup_id,
        )
        .returning(_SCHEDULES)
    ).first()
    return (Schedule(**row._mapping), chosen.backup_id) if row is not None else None


def _is_within_reach(node: str) -> ColumnElement[bool]:
    """The registry itself, or a tenant that serves and whose database this machine can open."""
    is_here = or_(_TENANTS.c.node.is_(None), _TENANTS.c.node == node)
    serving = exists().where(_TENANTS.c.id == _SCHEDULES.c.owner, _TENANTS.c.state.in_(SERVING), is_here)
    return or_(_SCHEDULES.c.owner == REGISTRY, serving)


def finish_schedule(connection: Connection, schedule: Schedule, now: int, **values: Any) -> None:
    """Refused when another process has taken it since."""
    done = connection.execute(
        update(_SCHEDULES)
        .where(_SCHEDULES.c.owner == schedule.owner, _SCHEDULES.c.fencing == schedule.fencing)
        .values(lease_owner=None, lease_expires_at=0, backup_id=None, looked_at=now, **values)
    )
    if done.rowcount != 1:
        raise LeaseLost("Another worker has taken over this backup.")


def find_schedule(connection: Connection, owner: str) -> Schedule | None:
    row = connection.execute(select(_SCHEDULES).where(_SCHEDULES.c.owner == owner)).first()
    return Schedule(**row._mapping) if row is not None else None


def schedule_lease_owners(connection: Connection) -> list[str]:
    statement = select(_SCHEDULES.c.lease_owner).where(_SCHEDULES.c.lease_owner.is_not(None))
    return sorted({row[0] for row in connection.execute(statement)})


def failing_backups(connection: Connection, limit: int = 20) -> list[Schedule]:
    statement = select(_SCHEDULES).where(_SCHEDULES.c.attempts > 0).order_by(_SCHEDULES.c.attempts.desc())
    return [Schedule(**row._mapping) for row in connection.execute(statement.limit(limit))]


def count_failing(connection: Connection) -> int:
    statement = select(func.count()).select_from(_SCHEDULES).where(_SCHEDULES.c.attempts > 0)
    return int(connection.execute(statement).scalar_one())


def serving_tenant(connection: Connection, tenant_id: str) -> RegisteredTenant | None:
    statement = select(_TENANTS).where(_TENANTS.c.id == tenant_id, _TENANTS.c.state.in_(SERVING))
    row = connection.execute(statement).first()
    return registered(row) if row is not None else None


def children_after(connection: Connection, tenant_id: str, limit: int) -> list[RegisteredTenant]:
    """All that serve, whatever machine their files are on."""
    is_child = _TENANTS.c.is_control_plane.is_(False)
    statement = select(_TENANTS).where(_TENANTS.c.id > tenant_id, _TENANTS.c.state.in_(SERVING), is_child)
    return [registered(row) for row in connection.execute(statement.order_by(_TENANTS.c.id).limit(limit))]


# --- who is erased -------------------------------------------------------------------------------------------


def record_erasures(connection: Connection, tenant_id: str, erased: Sequence[tuple[str, int]]) -> None:
    """Digests and times. Told twice, the later time stays."""
    for digest, erased_at in erased:
        statement = insert(_ERASURES).values(tenant_id=tenant_id, digest=digest, erased_at=erased_at)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "digest"],
                set_={"erased_at": statement.excluded.erased_at},
                where=_ERASURES.c.erased_at < statement.excluded.erased_at,
            )
        )


def erasures_of(connection: Connection, tenant_id: str) -> dict[str, int]:
    statement = select(_ERASURES.c.digest, _ERASURES.c.erased_at).where(_ERASURES.c.tenant_id == tenant_id)
    return {row[0]: row[1] for row in connection.execute(statement)}


def forget_backups(connection: Connection, tenant_id: str) -> None:
    """The tenant is destroyed."""
    connection.execute(delete(_BACKUPS).where(_BACKUPS.c.owner == tenant_id))
    connection.execute(delete(_SCHEDULES).where(_SCHEDULES.c.owner == tenant_id))
    connection.execute(delete(_ERASURES).where(_ERASURES.c.tenant_id == tenant_id))
