"""Operations: one recorded run of something long, claimed by lease.

Every claim raises `fencing`, and whatever its holder writes names the number it was given: a worker that was
stopped past its lease and wakes up is refused (`specs/faults.md` F24).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Update,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from controlplane.models import RegistryBase
from controlplane.registry.moments import is_past
from controlplane.registry.nodes import reached_from
from core.errors import Conflict, NotFound

_OPERATIONS = RegistryBase.metadata.tables["operations"]
_TENANTS = RegistryBase.metadata.tables["tenants"]

LEASE_MS = 30_000
LONGEST_BACK_OFF_MS = 300_000
UNFINISHED = ("pending", "running", "failed")


class LeaseLost(Conflict):
    """Another worker has claimed the operation since; nothing was written."""

    description = "Another worker has taken over this operation."


class OperationRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tenant_id: str
    kind: str
    state: str
    actor: str | None
    parameters: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]
    creator_added: bool
    attempts: int
    error: str | None
    lease_owner: str | None
    lease_expires_at: int
    fencing: int
    next_attempt_at: int
    created_at: int
    updated_at: int
    ended_at: int | None


def _record(row: Row[Any]) -> OperationRecord:
    values = dict(row._mapping)
    values["steps"] = tuple(values["steps"])
    return OperationRecord(**values)


def new_operation(
    operation_id: str,
    tenant_id: str,
    kind: str,
    now: int,
    *,
    actor: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    lease_owner: str | None = None,
    lease_expires_at: int = 0,
    next_attempt_at: int = 0,
    steps: tuple[Mapping[str, Any], ...] = (),
) -> OperationRecord:
    """Born claimed when a lease is given: nobody else begins what its maker is about to do."""
    claimed = lease_owner is not None
    return OperationRecord(
        id=operation_id,
        tenant_id=tenant_id,
        kind=kind,
        state="running" if claimed else "pending",
        actor=actor,
        parameters=parameters or {},
        steps=steps,
        creator_added=False,
        attempts=1 if claimed else 0,
        error=None,
        lease_owner=lease_owner,
        lease_expires_at=lease_expires_at,
        fencing=1 if claimed else 0,
        next_attempt_at=next_attempt_at,
        created_at=now,
        updated_at=now,
        ended_at=None,
    )


_INSERT = insert(_OPERATIONS)


def insert_operation(connection: Connection, operation: OperationRecord) -> None:
    connection.execute(_INSERT, {**msgspec.structs.asdict(operation), "steps": list(operation.steps)})


def get_operation(connection: Connection, operation_id: str) -> OperationRecord:
    row = connection.execute(select(_OPERATIONS).where(_OPERATIONS.c.id == operation_id)).first()
    if row is None:
        raise NotFound("operation")
    return _record(row)


def list_operations(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    states: Sequence[str] = (),
    offset: int = 0,
    limit: int = 50,
) -> list[OperationRecord]:
    """The newest first."""
    statement = select(_OPERATIONS).where(*_which(tenant_id, states))
    statement = statement.order_by(_OPERATIONS.c.created_at.desc(), _OPERATIONS.c.id.desc())
    return [_record(row) for row in connection.execute(statement.offset(offset).limit(limit))]


def list_operations_after(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    states: Sequence[str] = (),
    after: tuple[int, str] | None,
    limit: int,
) -> list[OperationRecord]:
    """The newest first, beyond (created_at, id) of the last one seen."""
    statement = select(_OPERATIONS).where(*_which(tenant_id, states))
    if after is not None:
        created, key = _OPERATIONS.c.created_at, _OPERATIONS.c.id
        statement = statement.where(or_(created < after[0], and_(created == after[0], key < after[1])))
    statement = statement.order_by(_OPERATIONS.c.created_at.desc(), _OPERATIONS.c.id.desc())
    return [_record(row) for row in connection.execute(statement.limit(limit))]


def count_operations(
    connection: Connection, *, tenant_id: str | None = None, states: Sequence[str] = ()
) -> int:
    statement = select(func.count()).select_from(_OPERATIONS).where(*_which(tenant_id, states))
    return int(connection.execute(statement).scalar_one())


def _which(tenant_id: str | None, states: Sequence[str]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if tenant_id is not None:
        conditions.append(_OPERATIONS.c.tenant_id == tenant_id)
    if states:
        conditions.append(_OPERATIONS.c.state.in_(states))
    return conditions


def lease_owners(connection: Connection) -> list[str]:
    """Who holds leases now: the caller finds out which of them are dead."""
    statement = select(_OPERATIONS.c.lease_owner).where(
        _OPERATIONS.c.state == "running", _OPERATIONS.c.lease_owner.is_not(None)
    )
    return sorted({row[0] for row in connection.execute(statement)})


def due_operations(
    connection: Connection, now: int, node: str, dead: Sequence[str] = (), limit: int = 20
) -> list[str]:
    """What may be done from this node: what is done to a file is done where the file is."""
    elsewhere = select(_TENANTS.c.id).where(_TENANTS.c.id == _OPERATIONS.c.tenant_id, ~reached_from(node))
    statement = select(_OPERATIONS.c.id).where(*_due(now, dead), ~elsewhere.exists())
    statement = statement.order_by(_OPERATIONS.c.next_attempt_at)
    return [row[0] for row in connection.execute(statement.limit(limit))]


def claim_operation(
    connection: Connection,
    operation_id: str,
    *,
    owner: str,
    now: int,
    until: int,
    dead: Sequence[str] = (),
    at_once: bool = False,
) -> OperationRecord | None:
    """None when it is done, not due, or somebody else's. `at_once` skips the wait for its next attempt."""
    row = connection.execute(
        update(_OPERATIONS)
        .where(_OPERATIONS.c.id == operation_id, *_due(now, dead, at_once=at_once))
        .values(
            state="running",
            lease_owner=owner,
            lease_expires_at=until,
            fencing=_OPERATIONS.c.fencing + 1,
            attempts=_OPERATIONS.c.attempts + 1,
            updated_at=now,
        )
        .returning(_OPERATIONS)
    ).first()
    return _record(row) if row is not None else None


def _due(now: int, dead: Sequence[str], *, at_once: bool = False) -> list[ColumnElement[bool]]:
    free = is_past(_OPERATIONS.c.lease_expires_at, now, LEASE_MS)
    if dead:
        free = or_(free, _OPERATIONS.c.lease_owner.in_(dead))
    conditions = [_OPERATIONS.c.state.in_(UNFINISHED), free]
    if not at_once:
        has_failed = _OPERATIONS.c.state == "failed"  # a deletion that sleeps may do so for long
        conditions.append(
            or_(
                _OPERATIONS.c.next_attempt_at <= now,
                and_(has_failed, is_past(_OPERATIONS.c.next_attempt_at, now, LONGEST_BACK_OFF_MS)),
            )
        )
    return conditions


def write_operation(connection: Connection, operation_id: str, fencing: int, now: int, **values: Any) -> None:
    """Every later word of a claim's holder: refused once another has claimed it or it has ended."""
    values["updated_at"] = now
    done = connection.execute(
        _fenced_update(tuple(values)), {**values, "key_id": operation_id, "key_fencing": fencing}
    )
    if done.rowcount != 1:
        raise LeaseLost


def refuse_lost(connection: Connection, operation_id: str, fencing: int) -> None:
    """As a write of the claim's holder would be refused, without one."""
    if connection.execute(_HELD, {"key_id": operation_id, "key_fencing": fencing}).first() is None:
        raise LeaseLost


_FENCED = (
    _OPERATIONS.c.id == bindparam("key_id"),
    _OPERATIONS.c.fencing == bindparam("key_fencing"),
    _OPERATIONS.c.state == "running",
)
_HELD = select(_OPERATIONS.c.id).where(*_FENCED)


@cache
def _fenced_update(names: tuple[str, ...]) -> Update:
    """Built once for each choice of columns."""
    return update(_OPERATIONS).where(*_FENCED).values({name: bindparam(name) for name in names})


def release_operation(
    connection: Connection, operation_id: str, fencing: int, now: int, *, next_attempt_at: int, **values: Any
) -> None:
    """Lay it down until its next attempt is due."""
    write_operation(
        connection,
        operation_id,
        fencing,
        now,
        lease_owner=None,
        lease_expires_at=0,
        next_attempt_at=next_attempt_at,
        **values,
    )


def finish_operation(
    connection: Connection,
    operation_id: str,
    fencing: int,
    now: int,
    *,
    steps: Sequence[Mapping[str, Any]],
    **values: Any,
) -> None:
    write_operation(
        connection,
        operation_id,
        fencing,
        now,
        state="succeeded",
        steps=list(steps),
        error=None,
        lease_owner=None,
        lease_expires_at=0,
        ended_at=now,
        **values,
    )


def cancel_operations(
    connection: Connection, tenant_id: str, now: int, kinds: Sequence[str] = ("create", "converge")
) -> None:
    """Whoever runs one of them now is refused from here on."""
    connection.execute(
        update(_OPERATIONS)
        .where(
            _OPERATIONS.c.tenant_id == tenant_id,
            _OPERATIONS.c.kind.in_(kinds),
            _OPERATIONS.c.state.in_(UNFINISHED),
        )
        .values(
            state="cancelled",
            fencing=_OPERATIONS.c.fencing + 1,
            lease_owner=None,
            lease_expires_at=0,
            updated_at=now,
            ended_at=now,
        )
    )


def unfinished_operation(connection: Connection, tenant_id: str) -> OperationRecord | None:
    statement = (
        select(_OPERATIONS)
        .where(_OPERATIONS.c.tenant_id == tenant_id, _OPERATIONS.c.state.in_(UNFINISHED))
        .order_by(_OPERATIONS.c.created_at.desc())
    )
    row = connection.execute(statement).first()
    return _record(row) if row is not None else None


REPLACING = ("move", "restore_backup", "delete")
"""What puts another database in the place of a tenant's, or takes it away: one at a time."""


def refuse_while_replaced(
    connection: Connection, tenant_id: str, *, kinds: Sequence[str] = REPLACING
) -> None:
    """For the unit that begins another of them."""
    statement = select(_OPERATIONS.c.kind).where(
        _OPERATIONS.c.tenant_id == tenant_id,
        _OPERATIONS.c.kind.in_(kinds),
        _OPERATIONS.c.state.in_(UNFINISHED),
    )
    kind = connection.execute(statement.limit(1)).scalar()
    if kind is not None:
        raise Conflict(
            f"An operation of the kind {kind} is under way on this tenant.", code="operation_in_progress"
        )


def latest_operation(connection: Connection, tenant_id: str, kind: str) -> OperationRecord | None:
    statement = (
        select(_OPERATIONS)
        .where(_OPERATIONS.c.tenant_id == tenant_id, _OPERATIONS.c.kind == kind)
        .order_by(_OPERATIONS.c.created_at.desc(), _OPERATIONS.c.id.desc())
    )
    row = connection.execute(statement.limit(1)).first()
    return _record(row) if row is not None else None
