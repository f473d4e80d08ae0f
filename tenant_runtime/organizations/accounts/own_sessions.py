"""The sessions of whoever asks: shown to who came in lately, and ended one by one or together."""

from collections.abc import Callable
from typing import Any

from litestar import Response
from msgspec import UNSET
from sqlalchemy import Connection

from core.crypto.sealing import DataKey
from tenant_runtime.audit import Event, record
from tenant_runtime.login.cookies import cleared_api_cookies
from tenant_runtime.login.sessions import end_session
from tenant_runtime.oauth.backchannel_logout import Initiator
from tenant_runtime.organizations.accounts.shapes import Answer, RevokeBody, UpdateSessionBody
from tenant_runtime.organizations.wire import (
    ApiCall,
    ApiSession,
    CallOf,
    read_endpoint,
    refusal,
    write_endpoint,
)
from tenant_runtime.organizations.wire.sessions import live_sessions_of

FRESH_MS = 86_400_000


@read_endpoint("/list-sessions")
async def list_sessions(call: CallOf) -> list[dict[str, Any]]:
    session = await call.session()
    if not is_fresh(session, call.now):
        raise refusal(403, "SESSION_NOT_FRESH", "Session is not fresh")
    options = await call.options()
    return [each.shown(options) for each in await call.read(live_sessions_of, session.user_id, call.now)]


@write_endpoint("/revoke-session")
async def revoke_session(call: CallOf) -> Response[Answer]:
    """Of somebody else's token nothing is said."""
    await call.session()
    body = await call.body(RevokeBody)
    return await _revoke(call, lambda each: each.token == body.token)


@write_endpoint("/revoke-sessions")
async def revoke_sessions(call: CallOf) -> Response[Answer]:
    await call.session()
    return await _revoke(call, lambda _: True)


@write_endpoint("/revoke-other-sessions")
async def revoke_other_sessions(call: CallOf) -> Response[Answer]:
    here = await call.session()
    return await _revoke(call, lambda each: each.id != here.id)


@write_endpoint("/update-session")
async def update_session(call: CallOf) -> Answer:
    """Sessions have no fields of the tenant's own, and theirs are changed by what they stand for."""
    await call.session()
    body = await call.body(UpdateSessionBody)
    for field, name in zip(body.__struct_fields__, body.__struct_encode_fields__, strict=True):
        if getattr(body, field) is not UNSET:
            raise refusal(400, "FIELD_NOT_ALLOWED", f"{name} is not allowed to be set")
    raise refusal(400, "NO_FIELDS_TO_UPDATE", "No fields to update", has_code=False)


handlers = [list_sessions, revoke_session, revoke_sessions, revoke_other_sessions, update_session]


def is_fresh(session: ApiSession, now: int) -> bool:
    """A session that goes on under a new secret is as fresh as its last authentication."""
    return now - session.authenticated_at < FRESH_MS


async def _revoke(call: ApiCall, is_meant: Callable[[ApiSession], bool]) -> Response[Answer]:
    session = await call.session()
    event = call.event("slo", "Sessions were ended by their owner.")
    await call.write(revoke, call.tenant.data_key, session.user_id, is_meant, event)
    call.deliver()
    cookies = cleared_api_cookies(is_https=call.browser.is_https) if is_meant(session) else []
    return Response({"status": True}, cookies=cookies)


def revoke(
    connection: Connection,
    data_key: DataKey,
    user_id: str,
    is_meant: Callable[[ApiSession], bool],
    event: Event,
) -> None:
    """Whoever revokes ends refresh tokens as well, those of applications that stay signed in among them."""
    now = event.created_at
    ended = [each for each in live_sessions_of(connection, user_id, now) if is_meant(each)]
    for each in ended:
        end_session(connection, data_key, each.id, now, why=Initiator.SESSION_REVOKED)
    if ended:
        record(connection, event)
