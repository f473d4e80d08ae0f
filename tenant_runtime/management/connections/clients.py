"""Which clients may use a connection: `enabled_clients`, and `/connections/{id}/clients` for a few of many.

A connection for all clients (those a tenant begins with, and domain connections) becomes one for chosen clients when
one is taken away. These rows are the tenant's own, those of the control plane's connections included.
"""

from collections.abc import Collection, Sequence
from typing import Any

from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, Row, bindparam, delete, select, update

from core.database.sql import insert
from core.errors import InvalidInput, NotFound
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.connections.bodies import AT_ONCE, ClientStatus
from tenant_runtime.management.entities import check_all_known
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, reading
from tenant_runtime.models import Client, ConnectionClient
from tenant_runtime.models import Connection as ConnectionRow

_table, _client, _chosen = ConnectionRow.__table__, Client.__table__, ConnectionClient.__table__
SHOWN_AT_MOST = 1000
"""In `enabled_clients`; all of them are at `/clients`."""

_ALL = select(_client.c.client_id).where(_client.c.is_global.is_(False))
_ALL_SHOWN = _ALL.order_by(_client.c.created_at, _client.c.client_id).limit(SHOWN_AT_MOST)
_CHOSEN_OF = (
    select(_chosen.c.connection_id, _client.c.client_id)
    .join(_client, _client.c.client_id == _chosen.c.client_id)
    .where(_chosen.c.connection_id.in_(bindparam("ids", expanding=True)))
    .order_by(_client.c.created_at, _client.c.client_id)
)
_place = (_client.c.created_at, _client.c.client_id)
_rows = select(_client.c.client_id, _client.c.created_at)


def _page(_: Connection, rows: Rows) -> Items:
    return [{"client_id": row.client_id} for row in rows]


ALL = Listing("clients", _rows.where(_client.c.is_global.is_(False)), _place, _page, by_checkpoint=True)
CHOSEN = Listing(
    "clients",
    _rows.join(_chosen, _chosen.c.client_id == _client.c.client_id).where(
        _chosen.c.connection_id == bindparam("connection")
    ),
    _place,
    _page,
    by_checkpoint=True,
)


@reading("/connections/{id:str}/clients", "read:connections")
async def list_connection_clients(call: CallOf, id: FromPath[str]) -> Any:
    row = await call.read(load, id)
    return await (answer(call, ALL) if is_for_all(row) else answer(call, CHOSEN, connection=id))


@changing("/connections/{id:str}/clients", "update:connections", status_code=204)
async def update_connection_clients(
    call: CallOf, id: FromPath[str], data: JSONBody[list[ClientStatus]]
) -> None:
    if not 1 <= len(data) <= AT_ONCE:
        raise InvalidInput(f"The body must be a list of 1 to {AT_ONCE} clients.")
    await call.write(_update, id, data)


handlers = [list_connection_clients, update_connection_clients]


def load(connection: Connection, id: str) -> Row[Any]:
    row = connection.execute(select(_table).where(_table.c.id == id)).one_or_none()
    if row is None:
        raise NotFound("connection")
    return row


def is_for_all(row: Row[Any]) -> bool:
    return bool(row.enabled_for_all_clients or row.is_domain_connection)


def enabled_of(connection: Connection, rows: Rows) -> dict[str, list[str]]:
    """By connection; one query for the chosen, one more where there is a connection for all."""
    everybody = list(connection.execute(_ALL_SHOWN).scalars()) if any(map(is_for_all, rows)) else []
    found: dict[str, list[str]] = {row.id: list(everybody) if is_for_all(row) else [] for row in rows}
    chosen = [row.id for row in rows if not is_for_all(row)]
    for connection_id, client_id in connection.execute(_CHOSEN_OF, {"ids": chosen}) if chosen else ():
        if len(found[connection_id]) < SHOWN_AT_MOST:
            found[connection_id].append(client_id)
    return found


def choose(connection: Connection, row: Row[Any], client_ids: Collection[str]) -> bool:
    """Exactly these, from now on. Answers whether that is another choice than before."""
    _check_known(connection, client_ids)
    wanted, before = set(client_ids), _clients_of(connection, row)
    if wanted == before:
        return False
    _no_longer_for_all(connection, row)
    of_it = _chosen.c.connection_id == row.id
    connection.execute(delete(_chosen).where(of_it, _chosen.c.client_id.not_in(wanted)))
    _enable(connection, row.id, wanted)
    return True


def _update(connection: Connection, id: str, statuses: Sequence[ClientStatus]) -> Written:
    row = load(connection, id)
    said = {each.client_id: each.status for each in statuses}
    _check_known(connection, said)
    before = _clients_of(connection, row)
    on, off = ({client for client, status in said.items() if status is wanted} for wanted in (True, False))
    after = (before | on) - off
    if after == before:
        return Written()
    if off & before and is_for_all(row):
        choose(connection, row, after)
    else:
        of_it = _chosen.c.connection_id == id
        connection.execute(delete(_chosen).where(of_it, _chosen.c.client_id.in_(off)))
        _enable(connection, id, on)
    told = {"connection": id}
    return Written(
        before={**told, "disabled": sorted(off & before)}, after={**told, "enabled": sorted(on - before)}
    )


def _clients_of(connection: Connection, row: Row[Any]) -> set[str]:
    if is_for_all(row):
        return set(connection.execute(_ALL).scalars())
    of_it = select(_chosen.c.client_id).where(_chosen.c.connection_id == row.id)
    return set(connection.execute(of_it).scalars())


def _no_longer_for_all(connection: Connection, row: Row[Any]) -> None:
    if row.is_domain_connection:
        raise InvalidInput("Every client may use a domain connection (`is_domain_connection`).")
    if row.enabled_for_all_clients:
        chosen = update(_table).where(_table.c.id == row.id).values(enabled_for_all_clients=False)
        connection.execute(chosen)


def _enable(connection: Connection, id: str, client_ids: Collection[str]) -> None:
    rows = [{"connection_id": id, "client_id": client_id} for client_id in sorted(client_ids)]
    if rows:
        connection.execute(insert(_chosen).on_conflict_do_nothing(), rows)


def _check_known(connection: Connection, client_ids: Collection[str]) -> None:
    known = connection.execute(select(_client.c.client_id).where(_client.c.client_id.in_(client_ids)))
    check_all_known("client", client_ids, known.scalars())
