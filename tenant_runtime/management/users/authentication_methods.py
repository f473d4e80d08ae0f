"""`/api/v2/users/{id}/authentication-methods`: by what a user can prove who they are, from the rows that say so.

The password, and the addresses that codes are sent to. Removing the password ends what was begun with it; the user
chooses another by the link of a reset. An address for codes is an identity: it goes by unlinking it, or with the user.
"""

from typing import Any

from litestar.params import FromPath
from sqlalchemy import Connection, bindparam, delete, literal, null, select, union_all

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.errors import InvalidInput, NotFound
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.endings import end_logins
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import reading, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Identity, Password, User
from tenant_runtime.oauth.backchannel_logout import Initiator

_p, _i, _u = Password.__table__.c, Identity.__table__.c, User.__table__.c
_PASSWORDS = select(
    literal("password").label("type"),
    _p.user_id.label("key"),
    null().label("email"),
    _p.changed_at.label("created_at"),
).where(_p.user_id == bindparam("user"))
_CODES = (
    select(literal("email"), _i.provider_user_id, _i.email, _u.created_at)
    .join(User.__table__, _u.user_id == _i.user_id)
    .where(_i.user_id == bindparam("user"), _i.provider == "email")
)
_METHODS = union_all(_PASSWORDS, _CODES).subquery("methods")
_m = _METHODS.c


def _id(row: Any) -> str:
    return f"{row.type}|{row.key.rpartition('|')[2]}"


def shape(row: Any) -> dict[str, Any]:
    at = {"created_at": to_iso(row.created_at), "enrolled_at": to_iso(row.created_at)}
    shown = {"id": _id(row), "type": row.type, "confirmed": True, **at}
    return shown if row.email is None else {**shown, "email": row.email}


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


LISTING = Listing("authenticators", select(_METHODS), (_m.created_at, _m.type, _m.key), shape_all)


@reading("/users/{user_id:str}/authentication-methods", "read:authentication_methods")
async def list_user_authentication_methods(call: CallOf, user_id: FromPath[str]) -> Any:
    await call.read(users.ENTITY.load, user_id)
    return await answer(call, LISTING, user=user_id)


@removing("/users/{user_id:str}/authentication-methods", "delete:authentication_methods")
async def delete_user_authentication_methods(call: CallOf, user_id: FromPath[str]) -> None:
    """All that can be removed by themselves."""
    await call.write(_remove, user_id, None, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)


@reading("/users/{user_id:str}/authentication-methods/{method_id:str}", "read:authentication_methods")
async def get_user_authentication_method(
    call: CallOf, user_id: FromPath[str], method_id: FromPath[str]
) -> dict[str, Any]:
    return await call.read(_get, user_id, method_id)


@removing("/users/{user_id:str}/authentication-methods/{method_id:str}", "delete:authentication_methods")
async def delete_user_authentication_method(
    call: CallOf, user_id: FromPath[str], method_id: FromPath[str]
) -> None:
    await call.write(_remove, user_id, method_id, call.actor, call.tenant.data_key, call.now)
    call.services.deliveries.soon(call.tenant)


def _get(connection: Connection, user_id: str, method_id: str) -> dict[str, Any]:
    users.ENTITY.load(connection, user_id)
    rows = connection.execute(select(_METHODS), {"user": user_id}).all()
    found = next((shape(row) for row in rows if _id(row) == method_id), None)
    if found is None:
        raise NotFound("authentication_method")
    return found


def _remove(
    connection: Connection, user_id: str, method_id: str | None, actor: Actor, data_key: DataKey, now: int
) -> Written:
    """What is not there any more is not an error."""
    users.ENTITY.load(connection, user_id)
    escalation.check_platform_user(connection, actor, user_id)
    rows = connection.execute(select(_METHODS), {"user": user_id}).all()
    chosen = [row for row in rows if method_id in (None, _id(row))]
    if method_id is not None and any(row.type == "email" for row in chosen):
        raise InvalidInput("An address for codes is an identity: unlink it, or delete the user.")
    passwords = [shape(row) for row in chosen if row.type == "password"]
    if not passwords:
        return Written()
    connection.execute(delete(Password.__table__).where(_p.user_id == user_id))
    end_logins(connection, data_key, user_id, now, why=Initiator.PASSWORD_CHANGED)
    return Written(before={"user_id": user_id, "authentication_methods": passwords})


handlers = [
    list_user_authentication_methods,
    delete_user_authentication_methods,
    get_user_authentication_method,
    delete_user_authentication_method,
]
