"""The difference between what a tenant should hold and what it holds: pure, so that it can also just be shown.

A tenant's own entity is never overwritten. Where one has the name or identifier of a catalogue entity of another
id, that entity is held back there; a copy that stands already follows in everything but the name in dispute, so
that a permission taken away is taken away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from core.catalog import (
    Catalogue,
    CatalogueConflict,
    CatalogueConnection,
    CataloguePermission,
    CatalogueResourceServer,
    CatalogueRole,
)
from sync.held import Held

Scopes = dict[str, tuple[str | None, int]]
"""Value to (description, position)."""


class Dangling(msgspec.Struct, frozen=True, kw_only=True):
    """A permission that was left out, because the tenant does not have its API or scope."""

    role_id: str
    resource_server_id: str | None
    permission: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written. Empty when the rows are as they should be."""

    delete_servers: tuple[str, ...]
    delete_roles: tuple[str, ...]
    delete_connections: tuple[str, ...]
    servers: tuple[CatalogueResourceServer, ...]  # new or different
    roles: tuple[CatalogueRole, ...]
    connections: tuple[CatalogueConnection, ...]
    set_settings: Mapping[str, Any]
    remove_settings: tuple[str, ...]
    release_servers: bool  # the kind is not shared (any more): copies become the tenant's own
    release_roles: bool
    release_connections: bool
    conflicts: tuple[CatalogueConflict, ...]
    dangling: tuple[Dangling, ...]

    @property
    def is_empty(self) -> bool:
        return not (
            self.delete_servers
            or self.delete_roles
            or self.delete_connections
            or self.servers
            or self.roles
            or self.connections
            or self.set_settings
            or self.remove_settings
            or self.release_servers
            or self.release_roles
            or self.release_connections
        )


def make_plan(catalogue: Catalogue, held: Held) -> Plan:
    servers, server_conflicts = _target_servers(catalogue, held)
    roles, role_conflicts, dangling = _target_roles(catalogue, held, servers)
    connections, connection_conflicts = _target_connections(catalogue, held)
    return Plan(
        delete_servers=_superfluous(servers, held, held.servers),
        delete_roles=_superfluous(roles, held, held.roles),
        delete_connections=_superfluous(connections, held, held.connections),
        servers=_different(servers, held, held.servers),
        roles=_different(roles, held, held.roles),
        connections=_different(connections, held, held.connections),
        set_settings={
            key: value
            for key, value in catalogue.settings.items()
            if key not in held.settings or held.settings[key] != value
        },
        remove_settings=tuple(sorted(held.settings.keys() - catalogue.settings.keys())),
        release_servers=servers is None and not held.system.isdisjoint(held.servers),
        release_roles=roles is None and not held.system.isdisjoint(held.roles),
        release_connections=connections is None and not held.system.isdisjoint(held.connections),
        conflicts=(*server_conflicts, *role_conflicts, *connection_conflicts),
        dangling=tuple(dangling),
    )


def _target_servers(
    catalogue: Catalogue, held: Held
) -> tuple[dict[str, CatalogueResourceServer] | None, list[CatalogueConflict]]:
    if catalogue.resource_servers is None:
        return None, []
    wanted = {item.id: item.identifier for item in catalogue.resource_servers}
    standing = {id: item.identifier for id, item in held.servers.items()}
    names, conflicts = _settle("resource_server", "identifier", wanted, standing, held.own_servers())
    targets = {
        server.id: msgspec.structs.replace(server, identifier=names[server.id], labels=frozenset())
        for server in catalogue.resource_servers
        if server.id in names
    }
    return targets, conflicts


def _target_roles(
    catalogue: Catalogue, held: Held, servers: dict[str, CatalogueResourceServer] | None
) -> tuple[dict[str, CatalogueRole] | None, list[CatalogueConflict], list[Dangling]]:
    if catalogue.roles is None:
        return None, [], []
    wanted = {item.id: item.name for item in catalogue.roles}
    standing = {id: item.name for id, item in held.roles.items()}
    names, conflicts = _settle("role", "name", wanted, standing, held.own_roles())
    available = _available(held, servers)
    targets: dict[str, CatalogueRole] = {}
    dangling: list[Dangling] = []
    for role in catalogue.roles:
        if role.id not in names:
            continue
        permissions, missing = _split(role, available)
        dangling += missing
        targets[role.id] = msgspec.structs.replace(
            role, name=names[role.id], permissions=permissions, labels=frozenset()
        )
    return targets, conflicts, dangling


def _target_connections(
    catalogue: Catalogue, held: Held
) -> tuple[dict[str, CatalogueConnection] | None, list[CatalogueConflict]]:
    if catalogue.connections is None:
        return None, []
    wanted = {item.id: item.name for item in catalogue.connections}
    standing = {id: item.name for id, item in held.connections.items()}
    names, conflicts = _settle("connection", "name", wanted, standing, held.own_connections())
    targets = {
        item.id: msgspec.structs.replace(item, name=names[item.id], labels=frozenset())
        for item in catalogue.connections
        if item.id in names
    }
    return targets, conflicts


def _settle(
    kind: str, field: str, wanted: Mapping[str, str], standing: Mapping[str, str], own: Mapping[str, str]
) -> tuple[dict[str, str], list[CatalogueConflict]]:
    """Which entity gets which name. One that cannot have its new name keeps its old one, which is then taken."""
    taken = dict(own)
    names: dict[str, str] = {}
    conflicts: list[CatalogueConflict] = []
    open_ids = list(wanted)
    while open_ids:
        refused = [id for id in open_ids if taken.get(wanted[id], id) != id]
        if not refused:
            break
        open_ids = [id for id in open_ids if id not in refused]
        for id in refused:
            rival = taken[wanted[id]]
            conflicts.append(CatalogueConflict(kind=kind, id=id, field=field, value=wanted[id], own_id=rival))
            if id in standing:
                names[id] = standing[id]
                taken[standing[id]] = id
    return names | {id: wanted[id] for id in open_ids}, conflicts


def _available(held: Held, servers: dict[str, CatalogueResourceServer] | None) -> set[tuple[str | None, str]]:
    """The scopes that will be there once the resource servers are as planned."""
    own = {id: item for id, item in held.servers.items() if id not in held.system or servers is None}
    return {
        (None if server.id == held.management else server.id, scope.value)
        for server in (*own.values(), *(servers or {}).values())
        for scope in server.scopes
    }


def _split(
    role: CatalogueRole, available: set[tuple[str | None, str]]
) -> tuple[tuple[CataloguePermission, ...], list[Dangling]]:
    there = tuple(item for item in role.permissions if (item.resource_server_id, item.value) in available)
    if len(there) == len(role.permissions):
        return there, []
    missing = [
        Dangling(role_id=role.id, resource_server_id=item.resource_server_id, permission=item.value)
        for item in role.permissions
        if item not in there
    ]
    return there, missing


def _superfluous(targets: Mapping[str, Any] | None, held: Held, rows: Mapping[str, Any]) -> tuple[str, ...]:
    if targets is None:
        return ()
    return tuple(id for id in rows if id in held.system and id not in targets)


def _different(targets: Mapping[str, Any] | None, held: Held, rows: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row with a catalogue id that is not a copy was one before its kind stopped being shared: it is again."""
    if targets is None:
        return ()
    return tuple(target for id, target in targets.items() if id not in held.system or rows.get(id) != target)


def scopes_of(server: CatalogueResourceServer) -> Scopes:
    return {scope.value: (scope.description, place) for place, scope in enumerate(server.scopes)}
