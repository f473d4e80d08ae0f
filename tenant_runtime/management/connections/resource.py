"""`/api/v2/connections`: made, read, changed, deleted.

A change of `options` puts others in their place, as at Auth0; secrets that it does not name stay, unless the addresses
they are sent to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath, JSONBody
from sqlalchemy import ColumnElement, Connection, Row, exists, select

from core.errors import Conflict, InvalidInput, InvalidQuery
from core.http.paging import parse_fields, parse_text
from core.ids import new_id
from core.outbound import Outbound
from core.tenants import Tenant
from tenant_runtime.connections.addresses import destinations
from tenant_runtime.connections.options import DEFAULTS
from tenant_runtime.connections.secrets import named_secrets, open_secrets, seal, split
from tenant_runtime.connections.strategies import STRATEGIES, is_usable
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.catalogue_sync import check_wait, waited
from tenant_runtime.management.connections import clients
from tenant_runtime.management.connections.bodies import (
    KEPT,
    ConnectionIn,
    ConnectionPatch,
    check_options,
    members_of,
)
from tenant_runtime.management.editing import merged
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import Identity

_table, _identity = ConnectionRow.__table__, Identity.__table__
NO_RUNTIME = "The strategy of this connection is stored and managed, and not offered at log-in yet."


def shape(row: Row[Any]) -> dict[str, Any]:
    options = {**DEFAULTS.get(row.strategy, {}), **row.options}
    kept = {name: value for name, value in options.pop(KEPT, {}).items() if value is not None}
    shown = {
        "id": row.id,
        "name": row.name,
        "strategy": row.strategy,
        "options": options,
        "is_domain_connection": row.is_domain_connection,
        "realms": [row.name],
        **kept,
    }
    if row.display_name is not None:
        shown["display_name"] = row.display_name
    if row.metadata:
        shown["metadata"] = row.metadata
    return {**shown, "is_system": True} if row.is_system else shown


def shape_all(connection: Connection, rows: Rows) -> Items:
    enabled = clients.enabled_of(connection, rows)
    return [{**shape(row), "enabled_clients": enabled[row.id]} for row in rows]


def _shown(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    shown: dict[str, Any] = shape_all(connection, [row])[0]
    return shown


ENTITY = Entity("connection", _table, "id", shape)
_SHOWN = [column for column in _table.c if column.name != "secrets"]
LISTING = Listing("connections", select(*_SHOWN), (_table.c.created_at, _table.c.id), shape_all)


@reading("/connections", "read:connections")
async def list_connections(call: CallOf) -> Any:
    return await answer(call, LISTING, *_filters(call))


@reading("/connections/{id:str}", "read:connections")
async def get_connection(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return parse_fields(call.request.query_params).apply(await call.read(_get, id))


@creating("/connections", "create:connections")
async def create_connection(call: CallOf, data: JSONBody[ConnectionIn]) -> Response[dict[str, Any]]:
    is_waiting = check_wait(call)
    asked = _Asked(call.tenant, call.services.outbound, new_id("con"), call.now)
    return await waited(call, is_waiting, await call.write(_create, asked, members_of(data)))


@changing("/connections/{id:str}", "update:connections")
async def update_connection(
    call: CallOf, id: FromPath[str], data: JSONBody[ConnectionPatch]
) -> Response[dict[str, Any]]:
    is_waiting = check_wait(call)
    asked = _Asked(call.tenant, call.services.outbound, id, call.now)
    return await waited(call, is_waiting, await call.write(_update, asked, members_of(data)))


@removing("/connections/{id:str}", "delete:connections")
async def delete_connection(call: CallOf, id: FromPath[str]) -> Response[None]:
    is_waiting = check_wait(call)
    return await waited(call, is_waiting, await call.write(_delete, id))


@reading("/connections/{id:str}/status", "read:connections")
async def get_connection_status(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    row = await call.read(ENTITY.load, id)
    return {"ok": True} if is_usable(row.strategy) else {"ok": False, "message": NO_RUNTIME}


handlers = [
    list_connections,
    get_connection,
    create_connection,
    update_connection,
    delete_connection,
    get_connection_status,
]


@dataclass(frozen=True, slots=True)
class _Asked:
    tenant: Tenant
    outbound: Outbound
    id: str
    now: int


def _filters(call: Call) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    strategies = call.request.query_params.getall("strategy", [])
    if not STRATEGIES.issuperset(strategies):
        raise InvalidQuery("The parameter 'strategy' names no strategy that is known here.")
    if strategies:
        found.append(_table.c.strategy.in_(strategies))
    if (name := parse_text(call.request.query_params, "name")) is not None:
        found.append(_table.c.name == name)
    return found


def _get(connection: Connection, id: str) -> dict[str, Any]:
    return _shown(connection, ENTITY.load(connection, id))


def _create(connection: Connection, asked: _Asked, members: dict[str, Any]) -> Written:
    given = members.pop("options", None) or {}
    chosen, kept = members.pop("enabled_clients", []), members.pop(KEPT)
    check_options(members["strategy"], given, asked.outbound)
    options, secrets = split(given)
    values = {
        **members,
        "metadata": merged({}, members.get("metadata")),
        "options": {**options, KEPT: kept} if kept else options,
        "secrets": seal(asked.tenant, asked.id, secrets),
        "enabled_for_all_clients": False,
        "id": asked.id,
        "created_at": asked.now,
        "updated_at": asked.now,
    }
    row = ENTITY.create(connection, values)
    if chosen and not row.is_domain_connection:
        clients.choose(connection, row, chosen)
    shown = _shown(connection, row)
    return Written(answer=shown, after=shown)


def _update(connection: Connection, asked: _Asked, members: dict[str, Any]) -> Written:
    row = ENTITY.load(connection, asked.id)
    before, chosen = _shown(connection, row), members.pop("enabled_clients", None)
    values, changed_secrets = _changed_options(row, asked, members)
    if "metadata" in members:
        values["metadata"] = merged(row.metadata, members["metadata"])
    values |= {name: members[name] for name in ("display_name", "is_domain_connection") if name in members}
    after = ENTITY.change(connection, row, values, asked.now)
    if chosen is not None:
        clients.choose(connection, after, chosen)
    shown = _shown(connection, after)
    told = {**shown, "changed_secrets": changed_secrets} if changed_secrets else shown
    return Written(answer=shown, before=before, after=told)


def _changed_options(
    row: Row[Any], asked: _Asked, members: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Columns, and the names of secrets that differ."""
    kept = {**row.options.get(KEPT, {}), **members[KEPT]}
    options = {name: value for name, value in row.options.items() if name != KEPT}
    values: dict[str, Any] = {}
    changed: list[str] = []
    if "options" in members:
        given = members["options"] or {}
        check_options(row.strategy, given, asked.outbound)
        before, stay = options, open_secrets(asked.tenant, row.id, row.secrets)
        options, new = split(given)
        secrets = {name: value for name, value in stay.items() if name not in named_secrets(given)} | new
        _check_destinations(before, options, frozenset(secrets) - named_secrets(given))
        changed = sorted(name for name in secrets | stay if secrets.get(name) != stay.get(name))
        if changed:
            values["secrets"] = seal(asked.tenant, row.id, secrets)
    return {**values, "options": {**options, KEPT: kept} if kept else options}, changed


def _check_destinations(before: Mapping[str, Any], after: Mapping[str, Any], stay: frozenset[str]) -> None:
    if stay and destinations(before) != destinations(after):
        raise InvalidInput(
            "An address changes to which a secret is sent, so the secret must be given again:"
            f" {', '.join(f'`options.{name}`' for name in sorted(stay))}."
        )


def _delete(connection: Connection, id: str) -> Written:
    """People would go with the only way in that they have: they are deleted first, by somebody who means it."""
    row = ENTITY.find(connection, id)
    if row is None:
        return Written()
    people = select(exists().where(_identity.c.connection_id == id))
    if not row.is_system and connection.execute(people).scalar_one():
        raise Conflict("Users log in by this connection. They must be deleted first.")
    return ENTITY.remove(connection, id)
