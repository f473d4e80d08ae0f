"""Runs of a migration over the fleet: wave after wave, each ended by what became of its tenants.

At most one run is unfinished. No worker leads it: every move from one wave to the next, and every stop, is one
comparison in the registry, made by whoever comes first.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from controlplane.models import RegistryBase
from controlplane.registry.tenants import SERVING
from core.database.sql import insert as upsert
from core.errors import Conflict, NotFound

_RUNS = RegistryBase.metadata.tables["migration_runs"]
_STATES = RegistryBase.metadata.tables["schema_states"]
_TENANTS = RegistryBase.metadata.tables["tenants"]

UNFINISHED = ("running", "stopped")
OPEN = ("pending", "migrated")
"""States of a tenant whose wave is not over."""


class MigrationRun(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    target: str
    state: str
    wave: int
    waves: tuple[int, ...]
    reason: str | None
    actor: str | None
    created_at: int
    updated_at: int
    ended_at: int | None

    @property
    def is_last_wave(self) -> bool:
        return self.wave >= len(self.waves) - 1

    @property
    def budget(self) -> int:
        """How many tenants may fail before the run stops: none while little is known, then one in a hundred."""
        if not self.is_last_wave or len(self.waves) < 2:
            return 0
        return max(1, self.waves[self.wave] // 100)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    labels: tuple[str, ...]


Plan = Callable[[Sequence[Candidate]], Sequence[Sequence[str]]]
"""Tenants to waves of tenant ids."""


def _run(row: Row[Any]) -> MigrationRun:
    values = dict(row._mapping)
    return MigrationRun(**{**values, "waves": tuple(values["waves"])})


def latest_run(connection: Connection, target: str) -> MigrationRun | None:
    newest = select(_RUNS).where(_RUNS.c.target == target)
    row = connection.execute(newest.order_by(_RUNS.c.created_at.desc(), _RUNS.c.id.desc()).limit(1)).first()
    return _run(row) if row is not None else None


def get_run(connection: Connection, run_id: str) -> MigrationRun:
    row = connection.execute(select(_RUNS).where(_RUNS.c.id == run_id)).first()
    if row is None:
        raise NotFound("migration")
    return _run(row)


def list_runs(connection: Connection, offset: int = 0, limit: int = 50) -> list[MigrationRun]:
    """The newest first."""
    statement = select(_RUNS).order_by(_RUNS.c.created_at.desc(), _RUNS.c.id.desc())
    return [_run(row) for row in connection.execute(statement.offset(offset).limit(limit))]


def count_runs(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(_RUNS)).scalar_one())


def candidates(connection: Connection, target: str) -> list[Candidate]:
    """Child tenants that serve at another version, and that nobody holds back."""
    statement = (
        select(_TENANTS.c.id, _TENANTS.c.labels)
        .outerjoin(_STATES, _STATES.c.tenant_id == _TENANTS.c.id)
        .where(
            _TENANTS.c.state.in_(SERVING),
            _TENANTS.c.is_control_plane.is_(False),
            _TENANTS.c.schema_version.is_distinct_from(target),
            _STATES.c.hold_reason.is_(None),
        )
        .order_by(_TENANTS.c.id)
    )
    return [Candidate(id=row[0], labels=tuple(row[1])) for row in connection.execute(statement)]


def begin_run(
    connection: Connection, run_id: str, target: str, plan: Plan, now: int, *, actor: str | None = None
) -> MigrationRun | None:
    """None when every tenant is there already; the unfinished one when there is one of this target."""
    unfinished = _unfinished(connection)
    if unfinished is not None and unfinished.target == target:
        return unfinished
    if unfinished is not None:  # of an earlier release: what it left is part of this one
        _end(connection, unfinished.id, now, "cancelled", "A newer version's migration has begun.")
    waves = plan(candidates(connection, target))
    if not waves:
        return None
    run = MigrationRun(
        id=run_id,
        target=target,
        state="running",
        wave=0,
        waves=tuple(len(wave) for wave in waves),
        reason=None,
        actor=actor,
        created_at=now,
        updated_at=now,
        ended_at=None,
    )
    connection.execute(insert(_RUNS), {**msgspec.structs.asdict(run), "waves": list(run.waves)})
    rows = [
        {"tenant_id": id, "run_id": run_id, "wave": number, "updated_at": now}
        for number, wave in enumerate(waves)
        for id in wave
    ]
    connection.execute(_JOIN, rows)
    return run


_FRESH: dict[str, Any] = {"state": "pending", "attempts": 0, "error": None, "next_attempt_at": 0}


def _join() -> Any:
    statement = upsert(_STATES).values(
        **_FRESH,
        lease_owner=None,
        lease_expires_at=0,
        fencing=0,
        hold_reason=None,
        held_at=None,
        snapshot=None,
        snapshot_version=None,
        snapshot_node=None,
        snapshot_at=None,
    )
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[_STATES.c.tenant_id],
        set_={**_FRESH, "run_id": new.run_id, "wave": new.wave, "updated_at": new.updated_at},
    )


_JOIN = _join()


def advance(connection: Connection, run_id: str, now: int) -> MigrationRun:
    """On to the next wave when this one is over; stopped when more failed than may."""
    run = get_run(connection, run_id)
    if run.state != "running":
        return run
    failed = _count(connection, run, _STATES.c.state == "failed")
    if failed > run.budget:
        return stop_run(connection, run_id, now, f"{_tenants(failed)} of wave {run.wave + 1} failed.")
    if _count(connection, run, _STATES.c.state.in_(OPEN), _STATES.c.hold_reason.is_(None)):
        return run
    if not run.is_last_wave:
        connection.execute(
            update(_RUNS)
            .where(_RUNS.c.id == run_id, _RUNS.c.wave == run.wave, _RUNS.c.state == "running")
            .values(wave=run.wave + 1, updated_at=now)
        )
        return get_run(connection, run_id)
    if failed:
        return stop_run(connection, run_id, now, f"{_tenants(failed)} could not be migrated.")
    return _end(connection, run_id, now, "succeeded", None)


def _tenants(count: int) -> str:
    return "One tenant" if count == 1 else f"{count} tenants"


def stop_run(connection: Connection, run_id: str, now: int, reason: str) -> MigrationRun:
    """What is being done to a tenant is finished; nothing new is begun."""
    run = get_run(connection, run_id)
    if run.state == "stopped":
        return run
    if run.state != "running":
        raise Conflict(f"The migration is {run.state}.", code="invalid_migration_state")
    values = {"state": "stopped", "reason": reason, "updated_at": now}
    connection.execute(update(_RUNS).where(_RUNS.c.id == run_id).values(values))
    return get_run(connection, run_id)


def resume_run(connection: Connection, run_id: str, now: int, *, retry: bool) -> MigrationRun:
    """Those that failed are tried again, or left as they are until somebody asks for them."""
    run = get_run(connection, run_id)
    if run.state not in UNFINISHED:
        raise Conflict(f"The migration is {run.state}.", code="invalid_migration_state")
    failed = update(_STATES).where(_STATES.c.run_id == run_id)
    if retry:
        again = {**_FRESH, "wave": run.wave, "updated_at": now}
        connection.execute(failed.where(_STATES.c.state.in_(("failed", "left"))).values(again))
    else:
        connection.execute(failed.where(_STATES.c.state == "failed").values(state="left", updated_at=now))
    values = {"state": "running", "reason": None, "updated_at": now}
    connection.execute(update(_RUNS).where(_RUNS.c.id == run_id).values(values))
    return get_run(connection, run_id)


def progress(connection: Connection, run: MigrationRun) -> dict[str, int]:
    """How many tenants of the run are in each state, held ones apart."""
    statement = (
        select(_STATES.c.state, _STATES.c.hold_reason.is_not(None), func.count())
        .where(_STATES.c.run_id == run.id)
        .group_by(_STATES.c.state, _STATES.c.hold_reason.is_not(None))
    )
    counts = dict.fromkeys(("pending", "migrated", "done", "failed", "left", "held"), 0)
    for state, held, count in connection.execute(statement):
        counts["held" if held and state != "done" else state] += count
    return counts


def failing_migrations(connection: Connection) -> int:
    """Tenants whose last attempt failed, whatever run it was of, and that nobody has held back since."""
    unseen = and_(_STATES.c.state == "left", _STATES.c.hold_reason.is_(None))
    statement = select(func.count()).select_from(_STATES).where(or_(_STATES.c.state == "failed", unseen))
    return int(connection.execute(statement).scalar_one())


def _count(connection: Connection, run: MigrationRun, *conditions: ColumnElement[bool]) -> int:
    statement = (
        select(func.count())
        .select_from(_STATES.join(_TENANTS, _TENANTS.c.id == _STATES.c.tenant_id))
        .where(*in_wave(run), *conditions)
    )
    return int(connection.execute(statement).scalar_one())


def in_wave(run: MigrationRun) -> tuple[ColumnElement[bool], ...]:
    """Rows of the wave that count: of tenants that serve still."""
    return _STATES.c.run_id == run.id, _STATES.c.wave == run.wave, _TENANTS.c.state.in_(SERVING)


def _unfinished(connection: Connection) -> MigrationRun | None:
    row = connection.execute(select(_RUNS).where(_RUNS.c.state.in_(UNFINISHED))).first()
    return _run(row) if row is not None else None


def _end(connection: Connection, run_id: str, now: int, state: str, reason: str | None) -> MigrationRun:
    values = {"state": state, "reason": reason, "updated_at": now, "ended_at": now}
    connection.execute(update(_RUNS).where(_RUNS.c.id == run_id).values(values))
    return get_run(connection, run_id)
