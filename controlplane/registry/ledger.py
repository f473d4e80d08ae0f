"""The ledger: how far each tenant has been seen to follow the catalogue.

What is *wanted* is not stored per tenant: it is tenant one's (incarnation, version), so lag is a comparison.
`next_attempt_at` in the future means that a worker holds the tenant in its hands (no attempt failed) or that
its back-off runs (some did).
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select, text, update

from controlplane.models import RegistryBase
from controlplane.registry.moments import is_past
from controlplane.registry.nodes import reached_from
from controlplane.registry.tenants import SERVING, RegisteredTenant, registered
from core.database.sql import insert

LONGEST_WAIT_MS = 300_000
"""Of any claim and any back-off."""

_STATES = RegistryBase.metadata.tables["sync_states"]
_TENANTS = RegistryBase.metadata.tables["tenants"]

Wanted = tuple[str, int]
"""Tenant one's incarnation and `config_version`."""


class SyncRecord(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: str
    applied_incarnation: str | None = None
    applied_version: int | None = None
    applied_digest: str | None = None
    applied_at: int | None = None
    last_attempt_at: int | None = None
    attempts: int = 0
    last_error: str | None = None
    next_attempt_at: int = 0
    conflicts: tuple[Any, ...] = ()
    dangling: tuple[Any, ...] = ()

    def lags(self, wanted: Wanted) -> bool:
        return (self.applied_incarnation, self.applied_version) != wanted


def _sync_record(row: Row[Any]) -> SyncRecord:
    values = dict(row._mapping)
    return SyncRecord(
        **{**values, "conflicts": tuple(values["conflicts"]), "dangling": tuple(values["dangling"])}
    )


_FOLLOWS = (
    _TENANTS.c.state.in_(SERVING),
    _TENANTS.c.is_control_plane.is_(False),
)


def _behind(wanted: Wanted) -> ColumnElement[bool]:
    return or_(
        _STATES.c.applied_version.is_distinct_from(wanted[1]),
        _STATES.c.applied_incarnation.is_distinct_from(wanted[0]),
    )


def claim_lagging(
    connection: Connection, wanted: Wanted, *, node: str, now: int, until: int, limit: int
) -> list[RegisteredTenant]:
    """Take some tenants of this node's that lag and are due; no other worker takes them before `until`."""
    due = (
        select(_STATES.c.tenant_id)
        .join(_TENANTS, _TENANTS.c.id == _STATES.c.tenant_id)
        .where(
            *_FOLLOWS,
            _behind(wanted),
            is_past(_STATES.c.next_attempt_at, now, LONGEST_WAIT_MS),
            reached_from(node),
        )
        .limit(limit)
    )
    ids = [row[0] for row in connection.execute(due)]
    if not ids:
        return []
    connection.execute(
        update(_STATES).where(_STATES.c.tenant_id.in_(ids)).values(next_attempt_at=until, last_attempt_at=now)
    )
    return [registered(row) for row in connection.execute(select(_TENANTS).where(_TENANTS.c.id.in_(ids)))]


def forget_claims(connection: Connection, now: int) -> None:
    """Claims of workers that are gone; back-offs stay."""
    connection.execute(
        update(_STATES)
        .where(_STATES.c.attempts == 0, _STATES.c.next_attempt_at > now)
        .values(next_attempt_at=0)
    )


def forget_applied(connection: Connection) -> None:
    """The installation's rules have changed: whatever a tenant holds was evaluated by others."""
    connection.execute(update(_STATES).values(applied_version=None, next_attempt_at=0))


def forget_tenant(connection: Connection, tenant_id: str) -> None:
    """Its database is another now: what it holds of the catalogue is to be seen."""
    connection.execute(
        update(_STATES)
        .where(_STATES.c.tenant_id == tenant_id)
        .values(applied_incarnation=None, applied_version=None, applied_digest=None, next_attempt_at=0)
    )


def retry_failed(connection: Connection) -> None:
    """Whoever waits for its next attempt may be tried now."""
    connection.execute(update(_STATES).where(_STATES.c.attempts > 0).values(next_attempt_at=0))


def record_synced(connection: Connection, records: Sequence[SyncRecord]) -> None:
    """Many at once. What an older catalogue left never replaces what a newer one of the same tenant one did."""
    rows = [{**msgspec.structs.asdict(item), **_lists(item)} for item in records]
    if rows:
        connection.execute(_UPSERT, rows if len(rows) > 1 else rows[0])


def _lists(item: SyncRecord) -> dict[str, list[Any]]:
    return {"conflicts": list(item.conflicts), "dangling": list(item.dangling)}


def record_failed(
    connection: Connection,
    tenant_id: str,
    *,
    now: int,
    error: str,
    first: int,
    longest: int,
    jitter: float,
) -> None:
    """The next attempt comes after `first` milliseconds, doubled for every attempt that failed, up to `longest`.

    `jitter` in [0, 1) keeps tenants that failed together from coming back together.
    """
    attempts = connection.execute(_ATTEMPTS, {"key": tenant_id}).scalar_one_or_none() or 0
    wait = min(longest, first * 2 ** min(attempts, 30))
    next_attempt = now + int(wait * (0.5 + jitter / 2))
    connection.execute(_FAILED, {"key": tenant_id, "now": now, "error": error, "next_attempt": next_attempt})


_ATTEMPTS = select(_STATES.c.attempts).where(_STATES.c.tenant_id == bindparam("key"))
_FAILED = (
    update(_STATES)
    .where(_STATES.c.tenant_id == bindparam("key"))
    .values(
        attempts=_STATES.c.attempts + 1,
        last_attempt_at=bindparam("now"),
        last_error=bindparam("error"),
        next_attempt_at=bindparam("next_attempt"),
    )
)


def _upsert() -> Any:
    statement = insert(_STATES)
    new = statement.excluded
    columns = {name: new[name] for name in SyncRecord.__struct_fields__ if name != "tenant_id"}
    return statement.on_conflict_do_update(
        index_elements=[_STATES.c.tenant_id],
        set_=columns,
        where=or_(
            _STATES.c.applied_incarnation.is_distinct_from(new.applied_incarnation),
            func.coalesce(_STATES.c.applied_version, -1) <= new.applied_version,
        ),
    )


_UPSERT = _upsert()


def sync_record(connection: Connection, tenant_id: str) -> SyncRecord | None:
    row = connection.execute(select(_STATES).where(_STATES.c.tenant_id == tenant_id)).first()
    return _sync_record(row) if row is not None else None


def sync_records(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, SyncRecord]:
    rows = connection.execute(select(_STATES).where(_STATES.c.tenant_id.in_(tenant_ids)))
    return {row.tenant_id: _sync_record(row) for row in rows}


def list_ledger(
    connection: Connection,
    wanted: Wanted | None,
    *,
    only: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> list[SyncRecord]:
    """`only`: lagging, failing or conflicts."""
    statement = _followers(select(_STATES), wanted, only).order_by(_STATES.c.tenant_id)
    return [_sync_record(row) for row in connection.execute(statement.offset(offset).limit(limit))]


def count_ledger(connection: Connection, wanted: Wanted | None, *, only: str | None = None) -> int:
    statement = _followers(select(func.count()).select_from(_STATES), wanted, only)
    return int(connection.execute(statement).scalar_one())


def count_lagging(connection: Connection, wanted: Wanted) -> int:
    """Tenants that serve and do not hold the present catalogue, whatever the reason."""
    return count_ledger(connection, wanted, only="lagging")


def _followers(statement: Any, wanted: Wanted | None, only: str | None) -> Any:
    statement = statement.join(_TENANTS, _TENANTS.c.id == _STATES.c.tenant_id).where(*_FOLLOWS)
    match only:
        case "lagging" if wanted is not None:
            return statement.where(_behind(wanted))
        case "failing":
            return statement.where(_STATES.c.attempts > 0)
        case "conflicts":
            return statement.where(text("json_array_length(sync_states.conflicts) > 0"))
        case _:
            return statement


def oldest_lag(connection: Connection, wanted: Wanted) -> int | None:
    """When the tenant that lags most last took anything from the catalogue."""
    statement = _followers(select(func.min(_STATES.c.applied_at)).select_from(_STATES), wanted, "lagging")
    found: int | None = connection.execute(statement).scalar_one()
    return found
