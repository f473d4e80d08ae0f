"""`/api/v2/refresh-tokens` and `/users/{id}/refresh-tokens`: what lets an application act while nobody is there.

One of Auth0's refresh tokens is a family here: however often it rotated, it is one thing that was given, and its id
stays. Ending it ends every token of the family at once.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import ColumnElement, Connection, bindparam, or_, select

from core.clock import to_iso
from core.errors import InvalidInput, InvalidQuery, NotFound
from core.http.paging import parse_text
from tenant_runtime.configuration import FAPI
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Id, Maybe
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import accepted, creating, reading, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Client, RefreshFamily, Session
from tenant_runtime.oauth.tokens.families import end_family
from tenant_runtime.oauth.tokens.refresh_policy import rotates

_table = RefreshFamily.__table__
_f, _c, _s = _table.c, Client.__table__.c, Session.__table__.c
_NOW: ColumnElement[int] = bindparam("now")
IS_ALIVE = (
    _f.revoked_at.is_(None)
    & or_(_f.expires_at.is_(None), _f.expires_at > _NOW)
    & or_(_f.idle_expires_at.is_(None), _f.idle_expires_at > _NOW)
)
ALL = (
    select(
        *(_f[name] for name in ("id", "user_id", "client_id", "session_id", "organization_id", "scope")),
        *(_f[name] for name in ("audience", "created_at", "used_at", "idle_expires_at", "expires_at")),
        _c.refresh_token.label("policy"),
        _c.token_endpoint_auth_method,
        _c.compliance_level,
        _s.ip,
        _s.user_agent,
    )
    .join(Client.__table__, _c.client_id == _f.client_id)
    .outerjoin(Session.__table__, _s.id == _f.session_id)
    .where(IS_ALIVE)
)
_OF_USER = ALL.where(_f.user_id == bindparam("user"))
_FIND = ALL.where(_f.id == bindparam("of"))
_ENDING = select(_f.id, _f.user_id).where(IS_ALIVE).order_by(_f.id)


class RevokeTokensBody(Body):
    ids: Maybe[Annotated[list[Id], Meta(min_length=1, max_length=100)]] = UNSET
    user_id: Maybe[Id] = UNSET
    client_id: Maybe[Id] = UNSET
    audience: Maybe[Id] = UNSET


def is_rotating(row: Any) -> bool:
    return rotates(
        row.policy,
        is_public=row.token_endpoint_auth_method == "none",
        is_fapi=row.compliance_level == FAPI,
    )


def shape(row: Any) -> dict[str, Any]:
    device = {
        "initial_ip": row.ip,
        "initial_user_agent": row.user_agent,
        "last_ip": row.ip,
        "last_user_agent": row.user_agent,
    }
    server = (
        {"scopes": row.scope} if row.audience is None else {"audience": row.audience, "scopes": row.scope}
    )
    return {
        "id": row.id,
        "user_id": row.user_id,
        "created_at": to_iso(row.created_at),
        "idle_expires_at": None if row.idle_expires_at is None else to_iso(row.idle_expires_at),
        "expires_at": None if row.expires_at is None else to_iso(row.expires_at),
        "device": {name: value for name, value in device.items() if value is not None},
        "client_id": row.client_id,
        "session_id": row.session_id,
        "rotating": is_rotating(row),
        "resource_servers": [server],
        "last_exchanged_at": to_iso(row.used_at) if row.used_at > row.created_at else None,
        **({"organization_id": row.organization_id} if row.organization_id else {}),
    }


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


_PLACE = (_f.created_at, _f.id)
LISTING = Listing("refresh_tokens", _OF_USER, _PLACE, shape_all, by_checkpoint=True)
LISTING_OF_USER = Listing("tokens", _OF_USER, _PLACE, shape_all, by_checkpoint=True)
"""The same list; Auth0 has two names for it."""


@reading("/refresh-tokens", "read:refresh_tokens")
async def list_refresh_tokens(call: CallOf) -> Any:
    query = call.request.query_params
    user_id, client_id = parse_text(query, "user_id"), parse_text(query, "client_id")
    if not user_id:
        raise InvalidQuery("The query parameter 'user_id' is missing.")
    criteria = [] if client_id is None else [_f.client_id == client_id]
    return await answer(call, LISTING, *criteria, user=user_id, now=call.now)


@reading("/users/{user_id:str}/refresh-tokens", "read:refresh_tokens")
async def list_user_refresh_tokens(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, LISTING_OF_USER, user=user_id, now=call.now)


@removing("/users/{user_id:str}/refresh-tokens", "delete:refresh_tokens", status_code=202)
async def delete_user_refresh_tokens(call: CallOf, user_id: FromPath[str]) -> Response[Any]:
    await call.write(_end_of_user, user_id, call.actor, call.now)
    return accepted()


@reading("/refresh-tokens/{id:str}", "read:refresh_tokens")
async def get_refresh_token(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return await call.read(_get, id, call.now)


@removing("/refresh-tokens/{id:str}", "delete:refresh_tokens", status_code=202)
async def delete_refresh_token(call: CallOf, id: FromPath[str]) -> Response[Any]:
    await call.write(_end_one, id, call.actor, call.now)
    return accepted()


@creating("/refresh-tokens/revoke", "delete:refresh_tokens", status_code=202)
async def revoke_refresh_tokens(call: CallOf, data: JSONBody[RevokeTokensBody]) -> Response[Any]:
    """By their ids, or those of a user: all, a client's, or a client's for one API."""
    await call.write(_end_chosen, _chosen(data), call.actor, call.now)
    return accepted()


def _chosen(body: RevokeTokensBody) -> list[ColumnElement[bool]]:
    if body.ids is not UNSET:
        if any(part is not UNSET for part in (body.user_id, body.client_id, body.audience)):
            raise InvalidInput("`ids` stands alone.")
        return [_f.id.in_(body.ids)]
    if body.user_id is UNSET:
        raise InvalidInput("`ids` or `user_id` is missing.")
    if body.audience is not UNSET and body.client_id is UNSET:
        raise InvalidInput("`audience` needs `client_id` beside it.")
    named = {"user_id": body.user_id, "client_id": body.client_id, "audience": body.audience}
    return [_f[name] == value for name, value in named.items() if value is not UNSET]


def _get(connection: Connection, id: str, now: int) -> dict[str, Any]:
    return shape(_load(connection, id, now))


def _load(connection: Connection, id: str, now: int) -> Any:
    row = connection.execute(_FIND, {"of": id, "now": now}).one_or_none()
    if row is None:
        raise NotFound("refresh_token")
    return row


def _end_one(connection: Connection, id: str, actor: Actor, now: int) -> Written:
    row = _load(connection, id, now)
    escalation.check_platform_user(connection, actor, row.user_id)
    end_family(connection, id, now_ms=now, reason="refresh_token_revoked")
    return Written(before=shape(row))


def _end_of_user(connection: Connection, user_id: str, actor: Actor, now: int) -> Written:
    users.ENTITY.load(connection, user_id)
    escalation.check_platform_user(connection, actor, user_id)
    return _end_chosen(connection, [_f.user_id == user_id], actor, now)


def _end_chosen(
    connection: Connection, chosen: Sequence[ColumnElement[bool]], actor: Actor, now: int
) -> Written:
    rows = connection.execute(_ENDING.where(*chosen), {"now": now}).all()
    for user_id in dict.fromkeys(row.user_id for row in rows):
        escalation.check_platform_user(connection, actor, user_id)
    for row in rows:
        end_family(connection, row.id, now_ms=now, reason="refresh_token_revoked")
    return Written(before={"refresh_tokens": [row.id for row in rows]} if rows else None)


handlers = [
    list_refresh_tokens,
    list_user_refresh_tokens,
    delete_user_refresh_tokens,
    get_refresh_token,
    delete_refresh_token,
    revoke_refresh_tokens,
]
