"""Bring one tenant's rows to the catalogue, in one transaction that also stores what was applied.

Units of work: run by `Database.alone(..., converge=True)` or inside `Databases.exclusive(..., converge=True)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core.catalog import CatalogueResourceServer, CatalogueRole
from core.failpoints import failpoint
from sync.catalogue import SERVER_ATTRIBUTES, Desired
from sync.held import Copies, Held, presume_held, read_held
from sync.plan import Plan, Scopes, make_plan, scopes_of

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

    def holds(self, wanted: tuple[str, int]) -> bool:
        return (self.incarnation, self.version) == wanted


def read_applied(connection: Connection) -> Applied:
    incarnation, version, digest, conflicts, dangling = connection.exec_driver_sql(
        "SELECT applied_incarnation, applied_version, applied_digest, conflicts, dangling FROM tenant"
    ).one()
    return Applied(
        Outcome.CURRENT, incarnation, version, digest, tuple(_decode(conflicts)), tuple(_decode(dangling))
    )


def apply(
    connection: Connection,
    desired: Desired,
    *,
    now: int,
    compare_rows: bool = False,
    known: Mapping[str, Copies] | None = None,
) -> Applied:
    """`compare_rows` looks at the rows even if the digest says that they are right (repair, restore, sweep).

    `known` tells what some digests stand for: a tenant that stored one of them, with nothing held back, is not read
    row by row.
    """
    before = read_applied(connection)
    incarnation, version = desired.wanted
    if before.incarnation == incarnation and (before.version or 0) > version:
        return replace(before, outcome=Outcome.OLDER)
    is_whole = not (compare_rows or before.conflicts or before.dangling)
    if before.digest == desired.digest and is_whole:
        return _seen(connection, before, desired)
    failpoint("sync.apply.before")
    copies = known.get(before.digest or "") if known is not None and is_whole else None
    plan = _bring_up(connection, desired, copies, now)
    failpoint("sync.apply.rows")
    return _store(connection, desired, plan)


def _bring_up(connection: Connection, desired: Desired, copies: Copies | None, now: int) -> Plan:
    """The short cut first; rows that are not what their digest says show as a broken rule, and are then read."""
    if copies is not None:
        try:
            held = presume_held(connection, copies, with_scopes=desired.reaches_own)
            return _write(connection, desired, held, now)
        except IntegrityError:
            pass
    return _write(connection, desired, read_held(connection), now)


def _write(connection: Connection, desired: Desired, held: Held, now: int) -> Plan:
    plan = make_plan(desired.catalogue, held)
    write_plan(connection, plan, held, now=now)
    return plan


def _seen(connection: Connection, before: Applied, desired: Desired) -> Applied:
    """Equal digests: only the version moves, so that an older catalogue is refused from now on."""
    incarnation, version = desired.wanted
    if not before.holds(desired.wanted):
        connection.exec_driver_sql(
            "UPDATE tenant SET applied_incarnation = ?, applied_version = ?", (incarnation, version)
        )
    return Applied(Outcome.CURRENT, incarnation, version, desired.digest)


def _store(connection: Connection, desired: Desired, plan: Plan) -> Applied:
    incarnation, version = desired.wanted
    conflicts = msgspec.to_builtins(plan.conflicts)
    dangling = msgspec.to_builtins(plan.dangling)
    connection.exec_driver_sql(
        "UPDATE tenant SET applied_digest = ?, applied_incarnation = ?, applied_version = ?, conflicts = ?,"
        " dangling = ?",
        (desired.digest, incarnation, version, _json(conflicts), _json(dangling)),
    )
    outcome = Outcome.CURRENT if plan.is_empty else Outcome.APPLIED
    return Applied(outcome, incarnation, version, desired.digest, tuple(conflicts), tuple(dangling))


def write_plan(connection: Connection, plan: Plan, held: Held, *, now: int) -> None:
    """Delete, then upsert. What is unchanged is not touched: what users hold hangs on it."""
    _many(connection, "DELETE FROM roles WHERE id = ?", [(id,) for id in plan.delete_roles])
    _many(connection, "DELETE FROM resource_servers WHERE id = ?", [(id,) for id in plan.delete_servers])
    if plan.release_servers:
        connection.exec_driver_sql("UPDATE resource_servers SET is_system = 0 WHERE is_system")
    if plan.release_roles:
        connection.exec_driver_sql("UPDATE roles SET is_system = 0 WHERE is_system")
    for server in plan.servers:
        _write_server(connection, server, held.servers.get(server.id), now)
    _step_aside(connection, plan, held)
    for role in plan.roles:
        _write_role(connection, role, held, now)
    _write_settings(connection, plan)


def _step_aside(connection: Connection, plan: Plan, held: Held) -> None:
    """Names are unique at every statement: copies that change theirs let go of it first."""
    renamed = [
        role.id for role in plan.roles if role.id in held.roles and held.roles[role.id].name != role.name
    ]
    _many(connection, "UPDATE roles SET name = 'renaming ' || id WHERE id = ?", [(id,) for id in renamed])


_SERVER_COLUMNS = ("id", "identifier", "name", *SERVER_ATTRIBUTES)
_PUT_SERVER = (
    f"INSERT INTO resource_servers ({', '.join(_SERVER_COLUMNS)}, labels, is_management, is_system, created_at,"
    f" updated_at) VALUES ({', '.join('?' * len(_SERVER_COLUMNS))}, '[]', 0, 1, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in _SERVER_COLUMNS[1:])},"
    " is_system = 1, updated_at = excluded.updated_at"
)
_PUT_SCOPE = (
    "INSERT INTO scopes (resource_server_id, value, description, position, is_platform) VALUES (?, ?, ?, ?, 0)"
    " ON CONFLICT (resource_server_id, value) DO UPDATE SET description = excluded.description,"
    " position = excluded.position"
)


def _write_server(
    connection: Connection, server: CatalogueResourceServer, before: CatalogueResourceServer | None, now: int
) -> None:
    attributes = [_column(server.attributes[name]) for name in SERVER_ATTRIBUTES]
    connection.exec_driver_sql(
        _PUT_SERVER, (server.id, server.identifier, server.name, *attributes, now, now)
    )
    old: Scopes = scopes_of(before) if before is not None else {}
    new = scopes_of(server)
    _many(
        connection,
        "DELETE FROM scopes WHERE resource_server_id = ? AND value = ?",
        [(server.id, value) for value in old if value not in new],
    )
    _many(
        connection,
        _PUT_SCOPE,
        [(server.id, value, *rest) for value, rest in new.items() if old.get(value) != rest],
    )


_PUT_ROLE = (
    "INSERT INTO roles (id, name, description, metadata, labels, is_system, created_at, updated_at)"
    " VALUES (?, ?, ?, ?, '[]', 1, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
    " description = excluded.description, metadata = excluded.metadata, is_system = 1,"
    " updated_at = excluded.updated_at"
)

_REMOVE_PERMISSION = (
    "DELETE FROM role_permissions WHERE role_id = ? AND resource_server_id = ? AND permission = ?"
)
_ADD_PERMISSION = (
    "INSERT INTO role_permissions (role_id, resource_server_id, permission) VALUES (?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)


def _write_role(connection: Connection, role: CatalogueRole, held: Held, now: int) -> None:
    connection.exec_driver_sql(
        _PUT_ROLE, (role.id, role.name, role.description, _json(role.metadata), now, now)
    )
    before = held.roles.get(role.id)
    old = frozenset(before.permissions) if before is not None else frozenset()
    new = frozenset(role.permissions)
    for statement, chosen in ((_REMOVE_PERMISSION, old - new), (_ADD_PERMISSION, new - old)):
        rows = [(role.id, item.resource_server_id or held.management, item.value) for item in chosen]
        _many(connection, statement, rows)


def _write_settings(connection: Connection, plan: Plan) -> None:
    _many(
        connection,
        "DELETE FROM settings WHERE source = 'control_plane' AND key = ?",
        [(key,) for key in plan.remove_settings],
    )
    _many(
        connection,
        "INSERT INTO settings (key, source, value) VALUES (?, 'control_plane', ?)"
        " ON CONFLICT (key, source) DO UPDATE SET value = excluded.value",
        [(key, _json(value)) for key, value in plan.set_settings.items()],
    )


def _many(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(statement, rows)


def _column(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list) else value


def _json(value: Any) -> str:
    return _encode(value).decode()


def _decode(text: str) -> list[Any]:
    found: list[Any] = msgspec.json.decode(text)
    return found
