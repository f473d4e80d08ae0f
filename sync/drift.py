"""How a tenant differs from what it should hold: its rows are compared, never digests."""

from typing import Any

import msgspec
from sqlalchemy import Connection

from core.catalog import CatalogueConnection, CatalogueResourceServer, CatalogueRole
from sync.apply import read_applied
from sync.catalogue import Desired
from sync.held import Held, read_held
from sync.plan import Plan, make_plan

Entity = CatalogueResourceServer | CatalogueRole | CatalogueConnection
_KINDS: dict[type[Entity], str] = {
    CatalogueResourceServer: "resource_server",
    CatalogueRole: "role",
    CatalogueConnection: "connection",
}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One entity. `fields`: those that differ; empty for one that is missing or extra."""

    kind: str
    id: str
    name: str
    fields: tuple[str, ...] = ()


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """`in_sync` is about the rows; a conflict held back is listed, but is no drift."""

    in_sync: bool
    wanted: tuple[str, int]
    applied: tuple[str | None, int | None]
    missing: tuple[Difference, ...]
    extra: tuple[Difference, ...]
    changed: tuple[Difference, ...]
    conflicts: tuple[Any, ...]
    dangling: tuple[Any, ...]


def compare(connection: Connection, desired: Desired) -> Drift:
    """A unit that reads only: also what a dry run answers."""
    applied = read_applied(connection)
    held = read_held(connection)
    plan = make_plan(desired.catalogue, held)
    return Drift(
        in_sync=plan.is_empty,
        wanted=desired.wanted,
        applied=(applied.incarnation, applied.version),
        missing=tuple(_missing(plan, held)),
        extra=tuple(_extra(plan, held)),
        changed=tuple(_changed(plan, held)),
        conflicts=tuple(msgspec.to_builtins(plan.conflicts)),
        dangling=tuple(msgspec.to_builtins(plan.dangling)),
    )


def _missing(plan: Plan, held: Held) -> list[Difference]:
    found = [
        Difference(kind=_kind(item), id=item.id, name=item.name)
        for item in _written(plan)
        if _before(held, item) is None
    ]
    return found + [
        Difference(kind="setting", id=key, name=key) for key in plan.set_settings if key not in held.settings
    ]


def _extra(plan: Plan, held: Held) -> list[Difference]:
    copies: list[Entity] = [held.servers[id] for id in plan.delete_servers]
    copies += [held.roles[id] for id in plan.delete_roles]
    copies += [held.connections[id] for id in plan.delete_connections]
    entities = [Difference(kind=_kind(item), id=item.id, name=item.name) for item in copies]
    return entities + [Difference(kind="setting", id=key, name=key) for key in plan.remove_settings]


def _changed(plan: Plan, held: Held) -> list[Difference]:
    found = []
    for item in _written(plan):
        before = _before(held, item)
        if before is not None:
            fields = _fields(before, item, is_system=item.id in held.system)
            found.append(Difference(kind=_kind(item), id=item.id, name=item.name, fields=fields))
    for key in plan.set_settings:
        if key in held.settings:
            found.append(Difference(kind="setting", id=key, name=key, fields=("value",)))
    return found + _released(plan, held)


def _released(plan: Plan, held: Held) -> list[Difference]:
    rows: list[Entity] = [*held.servers.values()] if plan.release_servers else []
    rows += held.roles.values() if plan.release_roles else ()
    rows += held.connections.values() if plan.release_connections else ()
    copies = [item for item in rows if item.id in held.system]
    return [
        Difference(kind=_kind(item), id=item.id, name=item.name, fields=("is_system",)) for item in copies
    ]


def _written(plan: Plan) -> list[Entity]:
    return [*plan.servers, *plan.roles, *plan.connections]


def _before(held: Held, item: Entity) -> Entity | None:
    return held.servers.get(item.id) or held.roles.get(item.id) or held.connections.get(item.id)


def _fields(before: Any, after: Any, *, is_system: bool) -> tuple[str, ...]:
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    old |= old.pop("attributes", None) or {}
    new |= new.pop("attributes", None) or {}
    names = [name for name in new if old.get(name) != new[name]]
    return tuple(names if is_system else [*names, "is_system"])


def _kind(item: Entity) -> str:
    return _KINDS[type(item)]
