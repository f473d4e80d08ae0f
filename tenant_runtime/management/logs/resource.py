"""`/api/v2/logs`: the tenant's events, by Auth0's type codes.

By offset the newest come first; by checkpoint the oldest do, so that a reader who keeps its place sees each event
once. `from` may also be the id of an event.
"""

from typing import Any

from litestar.params import FromPath
from sqlalchemy import Connection, Row, bindparam, select

from core.errors import InvalidQuery, NotFound
from core.http.paging import Position, parse_text
from core.http.search import Searchable, search
from tenant_runtime.audit.shapes import SHOWN, TEXTS, shape
from tenant_runtime.management.calls import CallOf
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import reading
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import LogEvent

_table = LogEvent.__table__
FIELDS = {
    **{name: Searchable(_table.c[name], "keyword") for name in ("type", *TEXTS)},
    "description": Searchable(_table.c.description, "text"),
    "user_name": Searchable(_table.c.user_name, "text"),
    "client_name": Searchable(_table.c.client_name, "text"),
    "log_id": Searchable(_table.c.id, "keyword"),
    "date": Searchable(_table.c.created_at, "time"),
}
DEFAULT = ("description", "user_name", "client_name", "type")


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


_SHOWN = select(*SHOWN)
_ONE = _SHOWN.where(_table.c.id == bindparam("of"))
_PLACE = (_table.c.created_at, _table.c.id)
NEWEST = Listing("logs", _SHOWN, _PLACE, shape_all, {"date": _table.c.created_at}, newest_first=True)
OLDEST = Listing("logs", _SHOWN, _PLACE, shape_all)


@reading("/logs", "read:logs")
async def list_logs(call: CallOf) -> Any:
    await call.services.audit.flush(call.tenant)
    query = call.request.query_params
    text = parse_text(query, "q") or parse_text(query, "search")
    criteria = [] if text is None else [search(text, FIELDS, DEFAULT)]
    if "from" not in query and "take" not in query:
        return await answer(call, NEWEST, *criteria)
    since = parse_text(query, "from") or ""
    after = await call.read(_place_of, since) if since.startswith("log_") else None
    return await answer(call, OLDEST, *criteria, after=after)


def _place_of(connection: Connection, id: str) -> Position:
    row = connection.execute(_ONE, {"of": id}).one_or_none()
    if row is None:
        raise InvalidQuery("The parameter 'from' names no event of this log.")
    return (row.created_at, row.id)


@reading("/logs/{id:str}", "read:logs")
async def get_log(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    await call.services.audit.flush(call.tenant)
    return shape(await call.read(_load, id))


def _load(connection: Connection, id: str) -> Row[Any]:
    row = connection.execute(_ONE, {"of": id}).one_or_none()
    if row is None:
        raise NotFound("log")
    return row


@reading("/users/{user_id:str}/logs", "read:logs", "read:logs_users")
async def list_user_logs(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.services.audit.flush(call.tenant)
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, NEWEST, _table.c.user_id == user_id)


handlers = [list_logs, get_log, list_user_logs]
