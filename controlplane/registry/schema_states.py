"""How far each tenant's migration is: claimed by lease, recorded with the claim's number, held back by a person.

A claim's number grows: what a worker that slept past its lease has to say is refused (`specs/faults.md` F24).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, not_, or_, select, update

from controlplane.models import RegistryBase
from controlplane.registry.migrations import (
    MigrationRun,
    failing_migrations,
    get_run,
    in_wave,
    latest_run,
)
from controlplane.registry.moments import is_past
from controlplane.registry.operations import REPLACING, UNFINISHED
from controlplane.registry.tenants import SERVING, RegisteredTenant, change_tenant, get_tenant, registered
from core.database.sql import insert
from core.errors import Conflict

_STATES = RegistryBase.metadata.tables["schema_states"]
_TENANTS = RegistryBase.metadata.tables["tenants"]
_OPERATIONS = RegistryBase.metadata.tables["operations"]

_UNTOUCHED = not_(
    exists().where(
        _OPERATIONS.c.tenant_id == _STATES.c.tenant_id,
        _OPERATIONS.c.kind.in_(REPLACING),
        _OPERATIONS.c.state.in_(UNFINISHED),
    )
)
"""Its database is not about to be replaced or deleted."""

LEASE_MS = 60_000
LONGEST_BACK_OFF_MS = 60_000
FAILING = ("failed", "left")


class SchemaState(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: str
    schema_version: str | None
    run_id: str | None
    state: str | None
    attempts: int
    error: str | None
    hold_reason: str | None
    held_at: int | None
    snapshot: str | None
    snapshot_version: str | None
    snapshot_node: str | None
    snapshot_at: int | None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant in the hands of one worker. `state`: what has to be done, `pending` to migrate it, `migrated` to look
    at it afterwards."""

    tenant: RegisteredTenant
    state: str
    fencing: int
    attempts: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has to say of its claim: the columns to write, and the version that the tenant is at now."""

    tenant_id: str
    fencing: int
    values: Mapping[str, Any]
    schema_version: str | None = None


class Hands(msgspec.Struct, frozen=True, kw_only=True):
    """Who claims, on which machine, until when, and whose leases are void."""

    owner: str
    node: str
    now: int
    dead: Sequence[str] = ()

    @property
    def until(self) -> int:
        return self.now + LEASE_MS


def lease_owners(connection: Connection) -> list[str]:
    statement = select(_STATES.c.lease_owner).where(_STATES.c.lease_owner.is_not(None)).distinct()
    return [row[0] for row in connection.execute(statement)]


def claim_tenants(connection: Connection, run_id: str, hands: Hands, limit: int) -> list[Claim]:
    """Some of the wave that are due. They are looked at only when none of the wave is to be migrated any more."""
    run = get_run(connection, run_id)
    if run.state != "running":
        return []
    pending = _due(connection, run, "pending", hands, limit)
    if pending:
        return _claimed(connection, pending, hands)
    if _any(connection, run, "pending"):
        return []
    return _claimed(connection, _due(connection, run, "migrated", hands, limit), hands)


def lazy_is_open(connection: Connection, target: str, without_run: bool) -> bool:
    """Whether a request may migrate what could be served as it is: in the last wave, or when no run was needed, as
    long as nothing has failed."""
    run = latest_run(connection, target)
    if run is None:
        return without_run and not failing_migrations(connection)
    return run.state == "succeeded" or (run.state == "running" and run.is_last_wave)


def claim_one(connection: Connection, tenant_id: str, target: str, hands: Hands) -> Claim | None:
    """For a request that needs it now. None when it is held back, in other hands, or waits for its next attempt."""
    tenant = get_tenant(connection, tenant_id)
    if tenant.state not in SERVING or tenant.schema_version == target:
        return None
    _ensure_row(connection, tenant_id, hands.now)
    free = select(_STATES.c.tenant_id).where(
        _STATES.c.tenant_id == tenant_id, _STATES.c.hold_reason.is_(None), _UNTOUCHED, *_free(hands)
    )
    if connection.execute(free).first() is None:
        return None
    claims = _claimed(connection, [tenant_id], hands)
    return msgspec.structs.replace(claims[0], state="pending")


def record_results(connection: Connection, results: Sequence[Result], now: int) -> list[str]:
    """Answers the tenants whose claim somebody else has taken since: of those nothing was written."""
    lost: list[str] = []
    for result in results:
        values = {"lease_owner": None, "lease_expires_at": 0, "updated_at": now, **result.values}
        done = connection.execute(
            update(_STATES)
            .where(_STATES.c.tenant_id == result.tenant_id, _STATES.c.fencing == result.fencing)
            .values(values)
        )
        if done.rowcount != 1:
            lost.append(result.tenant_id)
        elif result.schema_version is not None:
            change_tenant(connection, result.tenant_id, now, schema_version=result.schema_version)
    return lost


def hold(connection: Connection, tenant_id: str, reason: str, now: int) -> SchemaState:
    """No run and no request migrates it until it is released. A person who holds back what has failed has looked at
    it."""
    tenant = get_tenant(connection, tenant_id)
    if tenant.is_control_plane:
        raise Conflict("Tenant one cannot be held back: it is migrated at the start.", code="conflict")
    hold_after_rollback(connection, tenant_id, reason, now)
    connection.execute(
        update(_STATES)
        .where(_STATES.c.tenant_id == tenant_id, _STATES.c.state == "failed")
        .values(state="left")
    )
    return state_of(connection, tenant_id)


def hold_after_rollback(connection: Connection, tenant_id: str, reason: str, now: int) -> None:
    """What has failed counts as failed still."""
    _ensure_row(connection, tenant_id, now)
    connection.execute(
        update(_STATES)
        .where(_STATES.c.tenant_id == tenant_id)
        .values(hold_reason=reason, held_at=now, updated_at=now)
    )


def release(connection: Connection, tenant_id: str, now: int) -> SchemaState:
    """It is part of the next run, or of the rest of this one."""
    get_tenant(connection, tenant_id)
    row = connection.execute(select(_STATES.c.run_id).where(_STATES.c.tenant_id == tenant_id)).first()
    values: dict[str, Any] = {"hold_reason": None, "held_at": None, "updated_at": now, "next_attempt_at": 0}
    if row is not None and row[0] is not None:
        run = get_run(connection, row[0])
        if run.state in ("running", "stopped"):
            values |= {"wave": run.wave, "state": "pending", "attempts": 0, "error": None}
    connection.execute(update(_STATES).where(_STATES.c.tenant_id == tenant_id).values(values))
    return state_of(connection, tenant_id)


_COLUMNS = [
    _TENANTS.c.id.label("tenant_id"),
    _TENANTS.c.schema_version,
    *(
        _STATES.c[name]
        for name in SchemaState.__struct_fields__
        if name not in ("tenant_id", "schema_version")
    ),
]
_JOINED = _TENANTS.outerjoin(_STATES, _STATES.c.tenant_id == _TENANTS.c.id)


def state_of(connection: Connection, tenant_id: str) -> SchemaState:
    get_tenant(connection, tenant_id)
    statement = select(*_COLUMNS).select_from(_JOINED).where(_TENANTS.c.id == tenant_id)
    return _state_values(connection.execute(statement).one())


def _state_values(row: Any) -> SchemaState:
    values = dict(row._mapping)
    return SchemaState(**{**values, "attempts": values["attempts"] or 0})


def _which(only: str | None, target: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_TENANTS.c.state.in_(SERVING)]
    match only:
        case "failed":
            conditions.append(_STATES.c.state.in_(FAILING))
        case "held":
            conditions.append(_STATES.c.hold_reason.is_not(None))
        case "behind":
            conditions.append(_TENANTS.c.schema_version.is_distinct_from(target))
    return conditions


def list_states(
    connection: Connection, target: str, only: str | None, *, offset: int = 0, limit: int = 50
) -> list[SchemaState]:
    statement = select(*_COLUMNS).select_from(_JOINED).where(*_which(only, target)).order_by(_TENANTS.c.id)
    return [_state_values(row) for row in connection.execute(statement.offset(offset).limit(limit))]


def count_states(connection: Connection, target: str, only: str | None) -> int:
    statement = select(func.count()).select_from(_JOINED).where(*_which(only, target))
    return int(connection.execute(statement).scalar_one())


def versions_of_serving(connection: Connection) -> dict[str, int]:
    """How many tenants that serve stand at each schema version."""
    rows = connection.execute(
        select(_TENANTS.c.schema_version, func.count())
        .where(_TENANTS.c.state.in_(SERVING))
        .group_by(_TENANTS.c.schema_version)
    )
    return dict(sorted((row[0] or "none", row[1]) for row in rows))


def _ensure_row(connection: Connection, tenant_id: str, now: int) -> None:
    row = {"tenant_id": tenant_id, "wave": 0, "attempts": 0, "next_attempt_at": 0, "updated_at": now}
    connection.execute(
        insert(_STATES).on_conflict_do_nothing(index_elements=[_STATES.c.tenant_id]),
        {**row, "lease_expires_at": 0, "fencing": 0},
    )


def _free(hands: Hands) -> tuple[ColumnElement[bool], ...]:
    """In nobody's hands, and not waiting after a failure."""
    nobodys = or_(
        _STATES.c.lease_owner.is_(None),
        _STATES.c.lease_owner.in_(hands.dead),
        is_past(_STATES.c.lease_expires_at, hands.now, LEASE_MS),
    )
    return nobodys, is_past(_STATES.c.next_attempt_at, hands.now, LONGEST_BACK_OFF_MS)


def _due(connection: Connection, run: MigrationRun, state: str, hands: Hands, limit: int) -> list[str]:
    statement = (
        select(_STATES.c.tenant_id)
        .select_from(_STATES.join(_TENANTS, _TENANTS.c.id == _STATES.c.tenant_id))
        .where(
            *in_wave(run),
            _STATES.c.state == state,
            _STATES.c.hold_reason.is_(None),
            or_(_TENANTS.c.node.is_(None), _TENANTS.c.node == hands.node),
            _UNTOUCHED,
            *_free(hands),
        )
        .order_by(_STATES.c.tenant_id)
        .limit(limit)
    )
    return [row[0] for row in connection.execute(statement)]


def _any(connection: Connection, run: MigrationRun, state: str) -> bool:
    statement = (
        select(_STATES.c.tenant_id)
        .select_from(_STATES.join(_TENANTS, _TENANTS.c.id == _STATES.c.tenant_id))
        .where(*in_wave(run), _STATES.c.state == state, _STATES.c.hold_reason.is_(None))
    )
    return connection.execute(statement.limit(1)).first() is not None


_CLAIM = (
    update(_STATES)
    .where(_STATES.c.tenant_id == bindparam("key"))
    .values(
        lease_owner=bindparam("owner"),
        lease_expires_at=bindparam("until"),
        fencing=_STATES.c.fencing + 1,
        attempts=_STATES.c.attempts + 1,
        updated_at=bindparam("now"),
    )
    .returning(_STATES.c.state, _STATES.c.fencing, _STATES.c.attempts)
)


def _claimed(connection: Connection, ids: Sequence[str], hands: Hands) -> list[Claim]:
    if not ids:
        return []
    rows = connection.execute(select(_TENANTS).where(_TENANTS.c.id.in_(ids)))
    tenants = {row.id: registered(row) for row in rows}
    claims: list[Claim] = []
    for id in ids:
        values = {"key": id, "owner": hands.owner, "until": hands.until, "now": hands.now}
        state, fencing, attempts = connection.execute(_CLAIM, values).one()
        claims.append(Claim(tenant=tenants[id], state=state or "pending", fencing=fencing, attempts=attempts))
    return claims
