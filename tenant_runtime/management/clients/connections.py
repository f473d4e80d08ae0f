"""`/api/v2/clients/{client_id}/connections`: by which connections people log in to a client."""

from typing import Any

from litestar.params import FromPath
from sqlalchemy import bindparam, or_, select

from core.errors import InvalidQuery
from tenant_runtime.connections.strategies import STRATEGIES
from tenant_runtime.management.calls import CallOf
from tenant_runtime.management.clients import resource as clients
from tenant_runtime.management.connections import resource as connections
from tenant_runtime.management.listing import Listing, answer
from tenant_runtime.management.routing import reading
from tenant_runtime.models import Connection, ConnectionClient

_table, _chosen = Connection.__table__, ConnectionClient.__table__
_chosen_for_it = select(_chosen.c.connection_id).where(_chosen.c.client_id == bindparam("client"))
LISTING = Listing(
    "connections",
    connections.LISTING.statement.where(
        or_(
            _table.c.enabled_for_all_clients.is_(True),
            _table.c.is_domain_connection.is_(True),
            _table.c.id.in_(_chosen_for_it),
        )
    ),
    connections.LISTING.place,
    connections.shape_all,
    by_checkpoint=True,
)


@reading("/clients/{client_id:str}/connections", "read:connections")
async def list_client_connections(call: CallOf, client_id: FromPath[str]) -> Any:
    strategies = call.request.query_params.getall("strategy", [])
    if not STRATEGIES.issuperset(strategies):
        raise InvalidQuery("The parameter 'strategy' names no strategy that is known here.")
    row = await call.read(clients.load, client_id)
    chosen = [_table.c.strategy.in_(strategies)] if strategies else []
    return await answer(call, LISTING, *chosen, client=row.client_id)


handlers = [list_client_connections]
