"""`/api/v2/grants`: what people consented to, by client, API and organization; withdrawn at once.

Withdrawing ends what the consent allowed, in the same unit: no refresh token works any more, and access tokens are
refused wherever this server looks at them.
"""

from typing import Any

from litestar.params import FromPath
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, select

from core.errors import InvalidQuery
from core.http.paging import parse_text
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import reading, removing
from tenant_runtime.models import Grant
from tenant_runtime.oauth.tokens.withdrawal import Given, end_given

_table = Grant.__table__
_g = _table.c
_FILTERS = ("user_id", "client_id", "audience")
_FIND = select(_table).where(_g.id == bindparam("of"))
_OF_USER = select(_table).where(_g.user_id == bindparam("of")).order_by(_g.id)


def shape(row: Row[Any]) -> dict[str, Any]:
    """Auth0's members; `organization_id` where the consent is for one."""
    shown = {
        "id": row.id,
        "clientID": row.client_id,
        "user_id": row.user_id,
        "audience": row.audience,
        "scope": row.scope,
    }
    return {**shown, "organization_id": row.organization_id} if row.organization_id else shown


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


LISTING = Listing("grants", select(_table), (_g.created_at, _g.id), shape_all)


@reading("/grants", "read:grants")
async def list_grants(call: CallOf) -> Any:
    return await answer(call, LISTING, *_criteria(call))


@removing("/grants/{id:str}", "delete:grants")
async def delete_grant(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_withdraw, id, call.now)


@removing("/grants", "delete:grants")
async def delete_grants_of_user(call: CallOf) -> None:
    """Everything that one person consented to: the query must say who."""
    user_id = parse_text(call.request.query_params, "user_id")
    if not user_id:
        raise InvalidQuery("The query parameter 'user_id' is missing.")
    await call.write(_withdraw_all, user_id, call.now)


def _criteria(call: Call) -> list[ColumnElement[bool]]:
    query = call.request.query_params
    named = {name: parse_text(query, name) for name in _FILTERS}
    return [_g[name] == value for name, value in named.items() if value is not None]


def _withdraw(connection: Connection, id: str, now: int) -> Written:
    """What is not there any more is not an error: Auth0 answers 204 each time."""
    row = connection.execute(_FIND, {"of": id}).one_or_none()
    if row is None:
        return Written()
    _end(connection, row, now)
    return Written(before=shape(row))


def _withdraw_all(connection: Connection, user_id: str, now: int) -> Written:
    rows = connection.execute(_OF_USER, {"of": user_id}).all()
    for row in rows:
        _end(connection, row, now)
    return Written(before=[shape(row) for row in rows] or None)


def _end(connection: Connection, row: Row[Any], now: int) -> None:
    given = Given(row.client_id, row.user_id, row.audience, row.organization_id)
    end_given(connection, given, now_ms=now, reason="consent_withdrawn")
    connection.execute(delete(_table).where(_g.id == row.id))


handlers = [list_grants, delete_grant, delete_grants_of_user]
