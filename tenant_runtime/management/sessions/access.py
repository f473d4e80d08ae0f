"""`POST /api/v2/users/{id}/revoke-access`: out, at once: one session with its refresh tokens, or everything."""

from typing import Any

from litestar import Response
from litestar.params import FromPath, JSONBody
from msgspec import UNSET
from sqlalchemy import ColumnElement, Connection

from core.crypto.sealing import DataKey
from core.errors import InsufficientScope, NotFound
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Id, Maybe
from tenant_runtime.management.endings import end_logins
from tenant_runtime.management.routing import accepted, creating
from tenant_runtime.management.sessions import resource as sessions
from tenant_runtime.management.sessions.endings import end_sessions
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Session
from tenant_runtime.oauth.backchannel_logout import Initiator

_s = Session.__table__.c


class RevokeAccessBody(Body):
    session_id: Maybe[Id] = UNSET
    preserve_refresh_tokens: bool = False


@creating("/users/{user_id:str}/revoke-access", "delete:sessions", "delete:refresh_tokens", status_code=202)
async def revoke_user_access(
    call: CallOf, user_id: FromPath[str], data: JSONBody[RevokeAccessBody]
) -> Response[Any]:
    needed = (
        {"delete:sessions"} if data.preserve_refresh_tokens else {"delete:sessions", "delete:refresh_tokens"}
    )
    if not call.actor.permissions >= needed:
        raise InsufficientScope(*sorted(needed))
    session_id = None if data.session_id is UNSET else data.session_id
    data_key = call.tenant.data_key
    await call.write(
        _revoke, user_id, session_id, data.preserve_refresh_tokens, call.actor, data_key, call.now
    )
    call.services.deliveries.soon(call.tenant)
    return accepted()


def _revoke(
    connection: Connection,
    user_id: str,
    session_id: str | None,
    keeps_refresh_tokens: bool,
    actor: Actor,
    data_key: DataKey,
    now: int,
) -> Written:
    users.ENTITY.load(connection, user_id)
    escalation.check_platform_user(connection, actor, user_id)
    chosen: ColumnElement[bool] = _s.user_id == user_id
    if session_id is not None:
        if sessions.load(connection, session_id, now).user_id != user_id:
            raise NotFound("session")
        chosen = _s.id == session_id
    elif not keeps_refresh_tokens:
        end_logins(connection, data_key, user_id, now, why=Initiator.SESSION_REVOKED)
        return Written(before={"user_id": user_id, "access": "all"})
    ended = end_sessions(connection, data_key, chosen, now, keeps_refresh_tokens=keeps_refresh_tokens)
    return Written(before={"user_id": user_id, "sessions": ended})


handlers = [revoke_user_access]
