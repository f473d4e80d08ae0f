"""`/api/v2/sessions/{id}` and `/users/{id}/sessions`: the browsers in which somebody is signed in.

Deleting a session leaves the refresh tokens that were given for offline access; revoking it ends them too. What was
issued without either ends with the session, as it does at logout.
"""

from typing import Any

from litestar import Response
from litestar.params import FromPath
from sqlalchemy import ColumnElement, Connection, bindparam, select

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.errors import NotFound
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import accepted, creating, reading, removing
from tenant_runtime.management.sessions.endings import end_sessions
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Session, SessionClient

_table = Session.__table__
_s, _j = _table.c, SessionClient.__table__.c
_NOW: ColumnElement[int] = bindparam("now")
IS_ALIVE = _s.ended_at.is_(None) & (_s.expires_at > _NOW) & (_s.idle_expires_at > _NOW)
_FIND = select(_table).where(_s.id == bindparam("of"), IS_ALIVE)
_CLIENTS = (
    select(_j.session_id, _j.client_id)
    .where(_j.session_id.in_(bindparam("ids", expanding=True)))
    .order_by(_j.client_id)
)
_METHODS = {"otp": "email"}
"""Of RFC 8176, where Auth0 has another name: a code that was sent to an address."""


def shape_all(connection: Connection, rows: Rows) -> Items:
    clients: dict[str, list[dict[str, str]]] = {row.id: [] for row in rows}
    for joined in connection.execute(_CLIENTS, {"ids": list(clients)}) if clients else ():
        clients[joined.session_id].append({"client_id": joined.client_id})
    return [_shape(row, clients[row.id]) for row in rows]


def _shape(row: Any, clients: list[dict[str, str]]) -> dict[str, Any]:
    authenticated_at = to_iso(row.authenticated_at)
    device = {
        "initial_user_agent": row.user_agent,
        "initial_ip": row.ip,
        "last_user_agent": row.user_agent,
        "last_ip": row.ip,
    }
    methods = [{"name": _METHODS.get(name, name), "timestamp": authenticated_at} for name in row.amr]
    return {
        "id": row.id,
        "user_id": row.user_id,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.seen_at),
        "authenticated_at": authenticated_at,
        "idle_expires_at": to_iso(row.idle_expires_at),
        "expires_at": to_iso(row.expires_at),
        "last_interacted_at": to_iso(row.seen_at),
        "device": {name: value for name, value in device.items() if value is not None},
        "clients": clients,
        "authentication": {"methods": methods},
        "cookie": {"mode": "persistent"},
    }


LISTING = Listing(
    "sessions",
    select(_table).where(_s.user_id == bindparam("user"), IS_ALIVE),
    (_s.created_at, _s.id),
    shape_all,
    by_checkpoint=True,
)


@reading("/users/{user_id:str}/sessions", "read:sessions")
async def list_user_sessions(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, LISTING, user=user_id, now=call.now)


@removing("/users/{user_id:str}/sessions", "delete:sessions", status_code=202)
async def delete_user_sessions(call: CallOf, user_id: FromPath[str]) -> Response[Any]:
    await call.write(_end_all, user_id, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)
    return accepted()


@reading("/sessions/{id:str}", "read:sessions")
async def get_session(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return await call.read(_get, id, call.now)


@removing("/sessions/{id:str}", "delete:sessions", status_code=202)
async def delete_session(call: CallOf, id: FromPath[str]) -> Response[Any]:
    await call.write(_end, id, False, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)
    return accepted()


@creating("/sessions/{id:str}/revoke", "delete:sessions", status_code=202)
async def revoke_session(call: CallOf, id: FromPath[str]) -> Response[Any]:
    await call.write(_end, id, True, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)
    return accepted()


def load(connection: Connection, id: str, now: int) -> Any:
    row = connection.execute(_FIND, {"of": id, "now": now}).one_or_none()
    if row is None:
        raise NotFound("session")
    return row


def _get(connection: Connection, id: str, now: int) -> dict[str, Any]:
    shown: dict[str, Any] = shape_all(connection, [load(connection, id, now)])[0]
    return shown


def _end(
    connection: Connection, id: str, ends_tokens: bool, actor: Actor, data_key: DataKey, now: int
) -> Written:
    row = load(connection, id, now)
    escalation.check_platform_user(connection, actor, row.user_id)
    before = shape_all(connection, [row])[0]
    end_sessions(connection, data_key, _s.id == id, now, keeps_refresh_tokens=not ends_tokens)
    return Written(before=before)


def _end_all(connection: Connection, user_id: str, actor: Actor, data_key: DataKey, now: int) -> Written:
    users.ENTITY.load(connection, user_id)
    escalation.check_platform_user(connection, actor, user_id)
    ended = end_sessions(connection, data_key, _s.user_id == user_id, now, keeps_refresh_tokens=True)
    return Written(before={"user_id": user_id, "sessions": ended} if ended else None)


handlers = [list_user_sessions, delete_user_sessions, get_session, delete_session, revoke_session]
