"""`/api/v2/device-credentials`: a user's devices, each by the refresh tokens that it holds; taken away at once."""

from typing import Any

from litestar.params import FromPath
from sqlalchemy import ColumnElement, Connection, bindparam, case, func, or_

from core.database.sql import json_array_has, json_at
from core.errors import InvalidQuery
from core.http.paging import parse_text
from tenant_runtime.configuration import DEVICE_CODE, FAPI
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import reading, removing
from tenant_runtime.management.sessions.refresh_tokens import ALL, is_rotating
from tenant_runtime.models import Client, RefreshFamily
from tenant_runtime.oauth.tokens.families import end_family

_f, _c = RefreshFamily.__table__.c, Client.__table__.c
_IS_OF_DEVICE = or_(_c.app_type == "native", json_array_has(_c.grant_types, DEVICE_CODE))
_DEVICES = ALL.where(_IS_OF_DEVICE)
_FIND = _DEVICES.where(_f.id == bindparam("of"))
_SAID = json_at(_c.refresh_token, '$."rotation_type"')
_USUAL = case((_c.compliance_level == FAPI, "non-rotating"), else_="rotating")
_ROTATES = or_(_c.token_endpoint_auth_method == "none", func.coalesce(_SAID, _USUAL) != "non-rotating")
_OF_TYPE: dict[str, tuple[ColumnElement[bool], ...]] = {
    "public_key": (_f.id.is_(None),),
    "refresh_token": (),
    "rotating_refresh_token": (_ROTATES,),
}
"""`refresh_token` are all of them: most that are public rotate, and who asks for devices wants to see those."""


def shape(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "device_name": row.user_agent or "",
        "device_id": "",
        "type": "rotating_refresh_token" if is_rotating(row) else "refresh_token",
        "user_id": row.user_id,
        "client_id": row.client_id,
    }


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


LISTING = Listing(
    "device_credentials",
    _DEVICES.where(_f.user_id == bindparam("user")),
    (_f.created_at, _f.id),
    shape_all,
)


@reading("/device-credentials", "read:device_credentials")
async def list_device_credentials(call: CallOf) -> Any:
    """Of one user, who must be named."""
    query = call.request.query_params
    user_id, client_id, type = (parse_text(query, name) for name in ("user_id", "client_id", "type"))
    if not user_id:
        raise InvalidQuery("The query parameter 'user_id' is missing.")
    if type is not None and type not in _OF_TYPE:
        raise InvalidQuery(f"The parameter 'type' must be one of {', '.join(_OF_TYPE)}.")
    criteria = [*_OF_TYPE[type or "refresh_token"]]
    if client_id is not None:
        criteria.append(_f.client_id == client_id)
    return await answer(call, LISTING, *criteria, user=user_id, now=call.now)


@removing("/device-credentials/{id:str}", "delete:device_credentials")
async def delete_device_credential(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_end, id, call.actor, call.now)


def _end(connection: Connection, id: str, actor: Actor, now: int) -> Written:
    """What is not there any more is not an error: Auth0 answers 204 each time."""
    row = connection.execute(_FIND, {"of": id, "now": now}).one_or_none()
    if row is None:
        return Written()
    escalation.check_platform_user(connection, actor, row.user_id)
    end_family(connection, id, now_ms=now, reason="device_removed")
    return Written(before=shape(row))


handlers = [list_device_credentials, delete_device_credential]
