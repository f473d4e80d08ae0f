"""A plan as SQL: plain text with positional values, so that it runs on whatever connection is at hand."""

from collections.abc import Iterator
from typing import Any

import msgspec

from core.catalog import CatalogueConnection, CataloguePermission, CatalogueResourceServer, CatalogueRole
from sync.catalogue import CONNECTION_ATTRIBUTES, SERVER_ATTRIBUTES
from sync.held import Held
from sync.plan import Plan, Scopes, scopes_of

Statement = tuple[str, list[tuple[Any, ...]]]
"""SQL, and the rows of values it is run with one after the other; never none."""

_encode = msgspec.json.Encoder().encode

_SERVER_COLUMNS = ("id", "identifier", "name", *SERVER_ATTRIBUTES)
_PUT_SERVER = (
    f"INSERT INTO resource_servers ({', '.join(_SERVER_COLUMNS)}, labels, is_management, is_system, created_at,"
    f" updated_at) VALUES ({', '.join('?' * len(_SERVER_COLUMNS))}, '[]', false, true, ?, ?)"
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _SERVER_COLUMNS[1:])},"
    " is_system = true, updated_at = excluded.updated_at"
)
_REMOVE_SCOPE = "DELETE FROM scopes WHERE resource_server_id = ? AND value = ?"
_PUT_SCOPE = (
    "INSERT INTO scopes (resource_server_id, value, description, position, is_platform) VALUES (?, ?, ?, ?, false)"
    " ON CONFLICT (resource_server_id, value) DO UPDATE SET description = excluded.description,"
    " position = excluded.position"
)
_PUT_ROLE = (
    "INSERT INTO roles (id, name, description, metadata, labels, is_system, created_at, updated_at)"
    " VALUES (?, ?, ?, ?, '[]', true, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
    " description = excluded.description, metadata = excluded.metadata, is_system = true,"
    " updated_at = excluded.updated_at"
)
_CONNECTION_COLUMNS = ("id", "name", *CONNECTION_ATTRIBUTES)
_PUT_CONNECTION = (
    f"INSERT INTO connections ({', '.join(_CONNECTION_COLUMNS)}, enabled_for_all_clients, is_system, created_at,"
    f" updated_at) VALUES ({', '.join('?' * len(_CONNECTION_COLUMNS))}, false, true, ?, ?)"
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _CONNECTION_COLUMNS[1:])},"
    " is_system = true, updated_at = excluded.updated_at"
)
_REMOVE_PERMISSION = (
    "DELETE FROM role_permissions WHERE role_id = ? AND resource_server_id = ? AND permission = ?"
)
_ADD_PERMISSION = (
    "INSERT INTO role_permissions (role_id, resource_server_id, permission) VALUES (?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
# On the tenant's own Management API, whose id differs in each.
_REMOVE_OWN_PERMISSION = (
    "DELETE FROM role_permissions WHERE role_id = ? AND permission = ?"
    " AND resource_server_id = (SELECT id FROM resource_servers WHERE is_management)"
)
_ADD_OWN_PERMISSION = (
    "INSERT INTO role_permissions (role_id, permission, resource_server_id)"
    " VALUES (?, ?, (SELECT id FROM resource_servers WHERE is_management)) ON CONFLICT DO NOTHING"
)
_PUT_SETTING = (
    "INSERT INTO settings (key, source, value) VALUES (?, 'control_plane', ?)"
    " ON CONFLICT (key, source) DO UPDATE SET value = excluded.value"
)


def statements(plan: Plan, held: Held, now: int) -> Iterator[Statement]:
    """Delete, then upsert. What is unchanged is not touched: what users hold hangs on it."""
    for sql, rows in _all(plan, held, now):
        if rows:
            yield sql, rows


def _all(plan: Plan, held: Held, now: int) -> Iterator[Statement]:
    yield "DELETE FROM roles WHERE id = ?", [(id,) for id in plan.delete_roles]
    yield "DELETE FROM resource_servers WHERE id = ?", [(id,) for id in plan.delete_servers]
    yield "DELETE FROM connections WHERE id = ?", [(id,) for id in plan.delete_connections]
    for table, released in (
        ("resource_servers", plan.release_servers),
        ("roles", plan.release_roles),
        ("connections", plan.release_connections),
    ):
        yield f"UPDATE {table} SET is_system = false WHERE is_system = ?", [(True,)] if released else []
    for server in plan.servers:
        yield from _server(server, held, now)
    yield from _step_aside(plan, held)
    for role in plan.roles:
        yield from _role(role, held, now)
    yield _PUT_CONNECTION, [_connection(connection, now) for connection in plan.connections]
    removed = [(key,) for key in plan.remove_settings]
    yield "DELETE FROM settings WHERE source = 'control_plane' AND key = ?", removed
    yield _PUT_SETTING, [(key, _json(value)) for key, value in plan.set_settings.items()]


def _step_aside(plan: Plan, held: Held) -> Iterator[Statement]:
    """Names are unique at every statement: copies that change theirs let go of it first."""
    for table, changed, before in (
        ("roles", plan.roles, held.roles),
        ("connections", plan.connections, held.connections),
    ):
        renamed = [(item.id,) for item in changed if item.id in before and before[item.id].name != item.name]
        yield f"UPDATE {table} SET name = 'renaming ' || id WHERE id = ?", renamed


def _server(server: CatalogueResourceServer, held: Held, now: int) -> Iterator[Statement]:
    before = held.servers.get(server.id)
    old: Scopes = scopes_of(before) if before is not None else {}
    new = scopes_of(server)
    if before is None or server.id not in held.system or _without_scopes(server) != _without_scopes(before):
        attributes = [_column(server.attributes[name]) for name in SERVER_ATTRIBUTES]
        yield _PUT_SERVER, [(server.id, server.identifier, server.name, *attributes, now, now)]
    yield _REMOVE_SCOPE, [(server.id, value) for value in old if value not in new]
    yield _PUT_SCOPE, [(server.id, value, *rest) for value, rest in new.items() if old.get(value) != rest]


def _role(role: CatalogueRole, held: Held, now: int) -> Iterator[Statement]:
    before = held.roles.get(role.id)
    old = frozenset(before.permissions) if before is not None else frozenset()
    new = frozenset(role.permissions)
    if (
        before is None
        or role.id not in held.system
        or _without_permissions(role) != _without_permissions(before)
    ):
        yield _PUT_ROLE, [(role.id, role.name, role.description, _json(role.metadata), now, now)]
    yield from _permissions(role.id, old - new, _REMOVE_PERMISSION, _REMOVE_OWN_PERMISSION)
    yield from _permissions(role.id, new - old, _ADD_PERMISSION, _ADD_OWN_PERMISSION)


def _connection(connection: CatalogueConnection, now: int) -> tuple[Any, ...]:
    attributes = (_column(connection.attributes[name]) for name in CONNECTION_ATTRIBUTES)
    return connection.id, connection.name, *attributes, now, now


def _permissions(
    role_id: str, chosen: frozenset[CataloguePermission], shared: str, own: str
) -> Iterator[Statement]:
    in_order = sorted(chosen, key=lambda item: item.value)
    yield (
        shared,
        [
            (role_id, item.resource_server_id, item.value)
            for item in in_order
            if item.resource_server_id is not None
        ],
    )
    yield own, [(role_id, item.value) for item in in_order if item.resource_server_id is None]


def _without_scopes(server: CatalogueResourceServer) -> tuple[Any, ...]:
    return server.identifier, server.name, server.attributes


def _without_permissions(role: CatalogueRole) -> tuple[Any, ...]:
    return role.name, role.description, role.metadata


def _column(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list) else value


def _json(value: Any) -> str:
    return _encode(value).decode()
