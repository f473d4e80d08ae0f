"""Bring one tenant's rows to the catalogue, in one transaction that also stores what was applied.

Units of work: run by `Database.alone(..., converge=True)` or inside `Databases.exclusive(..., converge=True)`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.database.plain import Plain
from core.failpoints import failpoint
from sync.catalogue import Desired
from sync.held import Held, read_held
from sync.plan import Plan, make_plan
from sync.statements import statements
from sync.transitions import Transitions

_encode = msgspec.json.Encoder().encode


class Outcome(StrEnum):
    CURRENT = "current"  # nothing to do
    APPLIED = "applied"
    OLDER = "older"  # refused: the tenant holds a newer catalogue of the same tenant one


@dataclass(frozen=True, slots=True)
class Applied:
    """What the tenant's database says after the transaction."""

    outcome: Outcome
    incarnation: str | None
    version: int | None
    digest: str | None
    conflicts: tuple[Any, ...] = ()
    dangling: tuple[Any, ...] = ()
    has_connections: bool = False
    """Whether any of its connections is a copy."""

    def holds(self, wanted: tuple[str, int]) -> bool:
        return (self.incarnation, self.version) == wanted


_SELECT = (
    "SELECT applied_incarnation, applied_version, applied_digest, conflicts, dangling,"
    " EXISTS (SELECT 1 FROM connections WHERE is_system) FROM tenant"
)
_STORE = (
    "UPDATE tenant SET applied_digest = ?, applied_incarnation = ?, applied_version = ?, conflicts = ?,"
    " dangling = ?"
)
_MOVE = "UPDATE tenant SET applied_incarnation = ?, applied_version = ?"


def read_applied(connection: Connection) -> Applied:
    return _applied(connection.exec_driver_sql(_SELECT).one())


def _applied(row: Any) -> Applied:
    incarnation, version, digest, conflicts, dangling, has_connections = row
    left = tuple(_decode(conflicts)), tuple(_decode(dangling))
    return Applied(Outcome.CURRENT, incarnation, version, digest, *left, bool(has_connections))


def apply(connection: Connection, desired: Desired, *, now: int, compare_rows: bool = False) -> Applied:
    """`compare_rows` looks at the rows even if the digest says that they are right (repair, restore, sweep)."""
    before = read_applied(connection)
    if _is_older(desired, before):
        return replace(before, outcome=Outcome.OLDER)
    if before.digest == desired.digest and not (compare_rows or before.conflicts or before.dangling):
        return _seen(connection, before, desired)
    failpoint("sync.apply.before")
    with_connections = before.has_connections or desired.catalogue.connections != ()
    held = read_held(connection, with_connections=with_connections)
    plan = make_plan(desired.catalogue, held)
    write_plan(connection, plan, held, now=now)
    failpoint("sync.apply.rows")
    return _store(connection, desired, plan)


def follow(plain: Plain, desired: Desired, transitions: Transitions) -> Applied | None:
    """The short cut of the fan-out: what leads from the catalogue whose digest the tenant stored to this one, without
    a look at its rows. None when they must be looked at: `apply` then goes on in the same transaction."""
    before = _applied(plain.first(_SELECT))
    if _is_older(desired, before) or before.conflicts or before.dangling:
        return None
    incarnation, version = desired.wanted
    if before.digest == desired.digest:
        if not before.holds(desired.wanted):
            plain.run(_MOVE, (incarnation, version))
        return Applied(Outcome.CURRENT, incarnation, version, desired.digest)
    steps = transitions.between(before.digest, desired)
    if steps is None:
        return None
    failpoint("sync.apply.before")
    if not plain.run_whole(steps):
        return None  # the tenant's own rows stand in the way, or the copies are not what the digest says
    failpoint("sync.apply.rows")
    plain.run(_STORE, (desired.digest, incarnation, version, "[]", "[]"))
    return Applied(Outcome.APPLIED if steps else Outcome.CURRENT, incarnation, version, desired.digest)


def _is_older(desired: Desired, before: Applied) -> bool:
    incarnation, version = desired.wanted
    return before.incarnation == incarnation and (before.version or 0) > version


def _seen(connection: Connection, before: Applied, desired: Desired) -> Applied:
    """Equal digests: only the version moves, so that an older catalogue is refused from now on."""
    incarnation, version = desired.wanted
    if not before.holds(desired.wanted):
        connection.exec_driver_sql(_MOVE, (incarnation, version))
    return Applied(Outcome.CURRENT, incarnation, version, desired.digest)


def _store(connection: Connection, desired: Desired, plan: Plan) -> Applied:
    incarnation, version = desired.wanted
    conflicts = msgspec.to_builtins(plan.conflicts)
    dangling = msgspec.to_builtins(plan.dangling)
    connection.exec_driver_sql(
        _STORE, (desired.digest, incarnation, version, _json(conflicts), _json(dangling))
    )
    outcome = Outcome.CURRENT if plan.is_empty else Outcome.APPLIED
    return Applied(outcome, incarnation, version, desired.digest, tuple(conflicts), tuple(dangling))


def write_plan(connection: Connection, plan: Plan, held: Held, *, now: int) -> None:
    for statement, rows in statements(plan, held, now):
        connection.exec_driver_sql(statement, rows)


def _json(value: Any) -> str:
    return _encode(value).decode()


def _decode(text: str) -> list[Any]:
    found: list[Any] = msgspec.json.decode(text)
    return found
