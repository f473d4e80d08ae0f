"""What a tenant's database holds now, row by row, in the catalogue's own terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from core.catalog import (
    Catalogue,
    CataloguePermission,
    CatalogueResourceServer,
    CatalogueRole,
    CatalogueScope,
)
from sync.catalogue import SERVER_ATTRIBUTES, permission_order

_BOOLEANS = frozenset(
    {"allow_offline_access", "enforce_policies", "skip_consent_for_verifiable_first_party_clients"}
)
_JSON = frozenset({"metadata", "attributes"})
_decode = msgspec.json.Decoder().decode

# Plain SQL: thousands of tenants are read one after the other, and rows are all that is wanted of it.
_ATTRIBUTES = ", ".join(SERVER_ATTRIBUTES)
_SERVERS = f"SELECT id, identifier, name, is_system, is_management, {_ATTRIBUTES} FROM resource_servers"
_SCOPES = "SELECT resource_server_id, value, description FROM scopes"
_OF_OWN = " WHERE resource_server_id IN (SELECT id FROM resource_servers WHERE NOT is_system)"
_ROLES = "SELECT id, name, description, metadata, is_system FROM roles"
_OWN = " WHERE NOT is_system"
_IN_ORDER = " ORDER BY position, value"
_PERMISSIONS = "SELECT role_id, resource_server_id, permission FROM role_permissions"
_SETTINGS = "SELECT key, value FROM settings WHERE source = 'control_plane'"

Servers = Mapping[str, CatalogueResourceServer]
Roles = Mapping[str, CatalogueRole]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Every resource server and role by id, the tenant's own included: they are what can stand in the way."""

    servers: Servers
    roles: Roles
    system: frozenset[str]  # ids of those that are copies
    management: str | None  # id of the tenant's own Management API
    settings: Mapping[str, Any]

    def own_servers(self) -> dict[str, str]:
        """Identifier to id."""
        return {item.identifier: item.id for item in self.servers.values() if item.id not in self.system}

    def own_roles(self) -> dict[str, str]:
        """Name to id."""
        return {item.name: item.id for item in self.roles.values() if item.id not in self.system}


@dataclass(frozen=True, slots=True)
class Copies:
    """What a catalogue looks like where it was applied in full: worked out once, for all tenants that hold it."""

    servers: Servers
    roles: Roles
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Copies | None":
        """None when a kind was not shared: then the rows must be looked at."""
        if catalogue.resource_servers is None or catalogue.roles is None:
            return None
        return cls(
            {item.id: replace(item, labels=frozenset()) for item in catalogue.resource_servers},
            {item.id: replace(item, labels=frozenset()) for item in catalogue.roles},
            catalogue.settings,
        )


def read_held(connection: Connection) -> Held:
    """Every row."""
    system: set[str] = set()
    servers, management = _servers(connection, system, _SERVERS, _SCOPES + _IN_ORDER)
    rows = connection.exec_driver_sql(_PERMISSIONS).all()
    return Held(
        servers=servers,
        roles=_roles(connection, system, _ROLES, _permissions(rows, management)),
        system=frozenset(system),
        management=management,
        settings={row[0]: _json(row[1]) for row in connection.exec_driver_sql(_SETTINGS)},
    )


def presume_held(connection: Connection, copies: Copies, *, with_scopes: bool) -> Held:
    """The tenant's own rows, and for the rest what its stored digest says: a short cut for the fan-out.

    The scopes of its own APIs matter only to permissions that may be on one of them.
    """
    select_scopes = _SCOPES + _OF_OWN + _IN_ORDER if with_scopes else None
    own, management = _servers(connection, set(), _SERVERS + _OWN, select_scopes)
    roles = _roles(connection, set(), _ROLES + _OWN, {})
    return Held(
        servers={**copies.servers, **own},
        roles={**copies.roles, **roles},
        system=frozenset((copies.servers.keys() | copies.roles.keys()) - own.keys() - roles.keys()),
        management=management,
        settings=copies.settings,
    )


def _servers(
    connection: Connection, system: set[str], select: str, select_scopes: str | None
) -> tuple[dict[str, CatalogueResourceServer], str | None]:
    scopes: dict[str, list[CatalogueScope]] = {}
    rows = connection.exec_driver_sql(select_scopes).all() if select_scopes is not None else ()
    for server_id, value, description in rows:
        scopes.setdefault(server_id, []).append(CatalogueScope(value, description))
    servers: dict[str, CatalogueResourceServer] = {}
    management: str | None = None
    for id, identifier, name, is_system, is_management, *values in connection.exec_driver_sql(select).all():
        if is_system:
            system.add(id)
        if is_management:
            management = id
        servers[id] = CatalogueResourceServer(
            id=id,
            identifier=identifier,
            name=name,
            scopes=tuple(scopes.get(id, ())),
            attributes={key: _value(key, raw) for key, raw in zip(SERVER_ATTRIBUTES, values, strict=True)},
        )
    return servers, management


def _permissions(rows: Sequence[Any], management: str | None) -> dict[str, list[CataloguePermission]]:
    permissions: dict[str, list[CataloguePermission]] = {}
    for role_id, server_id, value in rows:
        server = None if server_id == management else server_id
        permissions.setdefault(role_id, []).append(CataloguePermission(server, value))
    return permissions


def _roles(
    connection: Connection,
    system: set[str],
    select: str,
    permissions: Mapping[str, list[CataloguePermission]],
) -> dict[str, CatalogueRole]:
    roles: dict[str, CatalogueRole] = {}
    for id, name, description, metadata, is_system in connection.exec_driver_sql(select).all():
        if is_system:
            system.add(id)
        roles[id] = CatalogueRole(
            id=id,
            name=name,
            description=description,
            metadata=_decode(metadata),
            permissions=tuple(sorted(permissions.get(id, ()), key=permission_order)),
        )
    return roles


def _json(raw: Any) -> Any:
    """SQLite keeps a JSON number as a number: the column has numeric affinity."""
    return _decode(raw) if isinstance(raw, str) else raw


def _value(name: str, raw: Any) -> Any:
    if name in _JSON:
        return _decode(raw)
    return bool(raw) if name in _BOOLEANS else raw
