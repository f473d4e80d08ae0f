"""What a tenant's database holds now, row by row, in the catalogue's own terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.catalog import (
    CatalogueConnection,
    CataloguePermission,
    CatalogueResourceServer,
    CatalogueRole,
    CatalogueScope,
)
from sync.catalogue import CONNECTION_ATTRIBUTES, SERVER_ATTRIBUTES, permission_order

_BOOLEANS = frozenset(
    {
        "allow_offline_access",
        "enforce_policies",
        "is_domain_connection",
        "skip_consent_for_verifiable_first_party_clients",
    }
)
_JSON = frozenset({"attributes", "metadata", "options"})
_decode = msgspec.json.Decoder().decode

# Plain SQL: thousands of tenants are read one after the other, and rows are all that is wanted of it.
_ATTRIBUTES = ", ".join(SERVER_ATTRIBUTES)
_SERVERS = f"SELECT id, identifier, name, is_system, is_management, {_ATTRIBUTES} FROM resource_servers"
_SCOPES = "SELECT resource_server_id, value, description FROM scopes ORDER BY position, value"
_ROLES = "SELECT id, name, description, metadata, is_system FROM roles"
_PERMISSIONS = "SELECT role_id, resource_server_id, permission FROM role_permissions"
_CONNECTIONS = f"SELECT id, name, is_system, {', '.join(CONNECTION_ATTRIBUTES)} FROM connections"
_SETTINGS = "SELECT key, value FROM settings WHERE source = 'control_plane'"

Servers = Mapping[str, CatalogueResourceServer]
Roles = Mapping[str, CatalogueRole]
Connections = Mapping[str, CatalogueConnection]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Every entity by id, the tenant's own included: they are what can stand in the way."""

    servers: Servers
    roles: Roles
    system: frozenset[str]  # ids of those that are copies
    management: str | None  # id of the tenant's own Management API
    settings: Mapping[str, Any]
    connections: Connections

    def own_servers(self) -> dict[str, str]:
        """Identifier to id."""
        return {item.identifier: item.id for item in self.servers.values() if item.id not in self.system}

    def own_roles(self) -> dict[str, str]:
        """Name to id."""
        return {item.name: item.id for item in self.roles.values() if item.id not in self.system}

    def own_connections(self) -> dict[str, str]:
        """Name to id."""
        return {item.name: item.id for item in self.connections.values() if item.id not in self.system}


def read_held(connection: Connection, *, with_connections: bool = True) -> Held:
    """Every row. Connections may be left out where none is shared and none is a copy."""
    system: set[str] = set()
    servers, management = _servers(connection, system)
    connections = _connections(connection, system) if with_connections else {}
    rows = connection.exec_driver_sql(_PERMISSIONS).all()
    return Held(
        servers=servers,
        roles=_roles(connection, system, _permissions(rows, management)),
        system=frozenset(system),
        management=management,
        settings={row[0]: _json(row[1]) for row in connection.exec_driver_sql(_SETTINGS)},
        connections=connections,
    )


def _servers(
    connection: Connection, system: set[str]
) -> tuple[dict[str, CatalogueResourceServer], str | None]:
    scopes: dict[str, list[CatalogueScope]] = {}
    for server_id, value, description in connection.exec_driver_sql(_SCOPES).all():
        scopes.setdefault(server_id, []).append(CatalogueScope(value, description))
    servers: dict[str, CatalogueResourceServer] = {}
    management: str | None = None
    for id, identifier, name, is_system, is_management, *values in connection.exec_driver_sql(_SERVERS).all():
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
    permissions: Mapping[str, list[CataloguePermission]],
) -> dict[str, CatalogueRole]:
    roles: dict[str, CatalogueRole] = {}
    for id, name, description, metadata, is_system in connection.exec_driver_sql(_ROLES).all():
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


def _connections(connection: Connection, system: set[str]) -> dict[str, CatalogueConnection]:
    connections: dict[str, CatalogueConnection] = {}
    for id, name, is_system, *values in connection.exec_driver_sql(_CONNECTIONS).all():
        if is_system:
            system.add(id)
        attributes = {key: _value(key, raw) for key, raw in zip(CONNECTION_ATTRIBUTES, values, strict=True)}
        connections[id] = CatalogueConnection(id=id, name=name, attributes=attributes)
    return connections


def _json(raw: Any) -> Any:
    """SQLite keeps a JSON number as a number: the column has numeric affinity."""
    return _decode(raw) if isinstance(raw, str) else raw


def _value(name: str, raw: Any) -> Any:
    if name in _JSON:
        return _decode(raw)
    return bool(raw) if name in _BOOLEANS else raw
