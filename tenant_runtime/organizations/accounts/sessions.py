"""The session of a call: looked at, and carried on."""

from typing import Any

from litestar import Response
from sqlalchemy import Connection, bindparam, update

from core.database import Prepared
from tenant_runtime.login.sessions import Lifetimes
from tenant_runtime.models import Session, SessionContext
from tenant_runtime.organizations.accounts.shapes import SessionQuery
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiSession,
    CallOf,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.cookies import cookies_again
from tenant_runtime.organizations.wire.sessions import load_api_session
from tenant_runtime.organizations.wire.shapes import answer_null

UPDATE_AGE_MS = 86_400_000
"""A session that was carried on longer ago is carried on by who asks for it."""

_s, _c = Session.__table__.c, SessionContext.__table__.c
_CARRY_ON = Prepared(
    update(Session.__table__)
    .where(_s.id == bindparam("session"))
    .values(seen_at=bindparam("now"), idle_expires_at=bindparam("idle"))
)
_UPDATED = Prepared(
    update(SessionContext.__table__)
    .where(_c.session_id == bindparam("session"))
    .values(updated_at=bindparam("now"))
)


@read_endpoint("/get-session")
async def get_session(call: CallOf) -> Response[Any]:
    query, session = call.query(SessionQuery), await call.session_or_none()
    if session is None:
        return answer_null()
    lifetimes = Lifetimes.of((await call.configuration()).settings)
    if query.disable_refresh or not is_due(session, call.now, lifetimes.idle):
        return Response(await shown(call, session))
    carried = await call.write(carry_on, session, call.tenant.issuer, call.now, lifetimes.idle)
    if carried is None:
        return answer_null()
    return Response(await shown(call, carried), cookies=cookies_again(call, carried))


@write_endpoint("/get-session")
async def get_session_by_post(call: CallOf) -> None:
    raise refusal(
        405, "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED", "POST method requires deferSessionRefresh"
    )


handlers = [get_session, get_session_by_post]


async def shown(call: ApiCall, session: ApiSession) -> dict[str, Any]:
    return {"session": session.shown(await call.options()), "user": session.shown_user()}


def is_due(session: ApiSession, now: int, idle: int) -> bool:
    """A tenant whose sessions end sooner without use than the wire carries them on has them carried on in time."""
    return not 0 <= now - session.seen_at < min(UPDATE_AGE_MS, idle // 2)


def carry_on(
    connection: Connection, session: ApiSession, issuer: str, now: int, idle: int
) -> ApiSession | None:
    """Never beyond the end that it was begun with. None: it has ended meanwhile."""
    if load_api_session(connection, session.token, issuer, now) is None:
        return None
    until = min(session.expires_at, now + idle)
    _CARRY_ON.run(connection, {"session": session.id, "now": now, "idle": until})
    _UPDATED.run(connection, {"session": session.id, "now": now})
    return load_api_session(connection, session.token, issuer, now)
