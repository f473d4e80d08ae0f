"""Signing in with a code that is sent to an address: `POST /passwordless/start`, as Auth0's SDKs send it.

The answer is the same, after the same work, whether somebody has the address or not: who gets a letter is decided when
it is sent. A code is six digits, so it lives five minutes, dies of three wrong guesses, and is the only one of its
address; a connection's `totp` may say otherwise, within bounds. It is stored as an HMAC with a key of the tenant's: the
plain hash of a short code would be none.

A client may ask for codes once it is registered for the grant that redeems them (`grants.passwordless_otp`); the
connection stands in every tenant. Links are not sent: one that signs in whoever opens it would sign in the sender's
victim, or the reader of somebody else's mail.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection, bindparam, insert, select, update

from core.crypto.sealing import DataKey
from core.errors import InvalidRequest, UnauthorizedClient
from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import (
    ClientConfiguration,
    Configuration,
    ConnectionConfiguration,
    configuration,
)
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.limits import take
from tenant_runtime.login.sweeping import SWEEP_WHEN, sweep
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.limits import PER_ADDRESS
from tenant_runtime.mail.queue import admit, posted
from tenant_runtime.models import Identity, LoginCode, User
from tenant_runtime.oauth.authentication_api.shared import languages_of, read
from tenant_runtime.oauth.clients.authentication import AuthenticatedClient, authenticate, require_still
from tenant_runtime.oauth.single_use import claim
from tenant_runtime.oauth.wire import Answer, Call, json_answer, serve

GRANT_TYPE = "http://auth0.com/oauth/grant-type/passwordless/otp"
STRATEGY = "email"
MINUTES = "5"
"""Of a letter that waits since the release before this one."""

METHODS = ("POST",)

_c, _i, _u = LoginCode.__table__.c, Identity.__table__.c, User.__table__.c
_END_EARLIER = (
    update(LoginCode.__table__)
    .where(
        _c.connection_id == bindparam("connection"),
        _c.address == bindparam("of"),
        _c.used_at.is_(None),
    )
    .values(used_at=bindparam("now"))
)
_INSERT = insert(LoginCode.__table__)
_WHO = (
    select(_u.user_id, _u.email, _u.email_verified, _u.blocked, _u.last_ip)
    .join(Identity.__table__, _i.user_id == _u.user_id)
    .where(_i.connection_id == bindparam("connection"), _i.email == bindparam("of"))
)


@dataclass(frozen=True, slots=True)
class _Started:
    """Everything that is fixed before the unit."""

    client: AuthenticatedClient
    address: str
    connection_id: str
    row: Mapping[str, Any]
    letter: Outgoing
    event: Event


@asgi("/passwordless/start", copy_scope=False)
async def start(scope: Scope, receive: Receive, send: Send) -> None:
    await serve(scope, receive, send, METHODS, _start)


async def _start(call: Call) -> Answer:
    body = await read(call, "authParams")
    current = await configuration(call.tenant)
    client = await authenticate(call, body.texts, current)
    if client.named not in (None, client.client_id):
        raise InvalidRequest("client_id names another client.")
    require_grant(client.configuration)
    connection = email_connection(current, client.configuration, body.required("connection"))
    if body.texts.get("send", "code") != "code":
        raise InvalidRequest("Links are not sent. The parameter send must be code.")
    address = body.address()
    caller = call.ip if client.configuration.is_public else None
    await admit(call.services, call.tenant, caller, call.now_ms)
    started = _started(call, client, connection, address)
    await call.tenant.database.write(_begin, call.tenant.data_key, started, call.now_ms)
    call.services.deliveries.soon(call.tenant)
    made_up = _keyed(call.tenant.data_key, "passwordless ids", connection.id, address)[:24]
    return json_answer({"_id": made_up, "email": address, "email_verified": False})


def require_grant(client: ClientConfiguration) -> None:
    """A code is typed into the client itself, which none but the tenant's own may ask of people."""
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient(f"The client may not use the grant type {GRANT_TYPE}.")
    if not client.is_first_party:
        raise UnauthorizedClient("Only first-party clients may ask for a code.")


def email_connection(
    configuration: Configuration, client: ClientConfiguration, name: str
) -> ConnectionConfiguration:
    for connection in configuration.connections.values():
        if (
            connection.name == name
            and connection.strategy == STRATEGY
            and connection.id in client.connections
        ):
            return connection
    raise InvalidRequest("The connection is not one that sends codes, or not enabled for this client.")


def code_digest(data_key: DataKey, connection_id: str, address: str, code: str) -> str:
    return _keyed(data_key, "login codes", connection_id, address, code)


def _keyed(data_key: DataKey, purpose: str, *parts: str) -> str:
    return hmac.digest(data_key.derive(purpose), "\0".join(parts).encode(), "sha256").hex()


def _started(
    call: Call, client: AuthenticatedClient, connection: ConnectionConfiguration, address: str
) -> _Started:
    said = connection.codes.code
    code = f"{secrets.randbelow(10**said.length):0{said.length}}"
    expires_at = call.now_ms + said.time_step * 1000
    client_id, name = client.client_id, client.configuration.name
    row = {
        "id": new_id("otp"),
        "connection_id": connection.id,
        "address": address,
        "client_id": client_id,
        "digest": code_digest(call.tenant.data_key, connection.id, address, code),
        "failures": 0,
        "created_at": call.now_ms,
        "expires_at": expires_at,
        "used_at": None,
    }
    letter = posted(
        "login_code",
        address,
        expires_at=expires_at,
        code=code,
        client=name,
        client_id=client_id,
        connection_id=connection.id,
        minutes=str(-(-said.time_step // 60)),
        languages=languages_of(call),
    )
    event = Event(
        type="cls",
        created_at=call.now_ms,
        description="A code was asked for.",
        client_id=client_id,
        client_name=name,
        user_name=address,
        connection=connection.name,
        ip=call.ip,
        user_agent=call.user_agent,
        request_id=call.request_id,
    )
    return _Started(client, address, connection.id, row, letter, event)


def _begin(connection: Connection, data_key: DataKey, started: _Started, now: int) -> None:
    if started.client.used is not None:
        claim(connection, (started.client.used,))
    require_still(connection, started.client, now)
    take(connection, f"login code {started.connection_id}", started.address, now, PER_ADDRESS)
    address = {"connection": started.connection_id, "of": started.address}
    connection.execute(_END_EARLIER, {**address, "now": now})
    connection.execute(_INSERT, dict(started.row))
    enqueue(connection, data_key, started.letter, now)
    record(connection, started.event)
    if started.row["digest"].startswith(SWEEP_WHEN):
        sweep(connection, now)


# --- When the letter is sent ---------------------------------------------------------------------------------------


async def write_letter(tenant: Tenant, payload: Mapping[str, Any], now: int) -> Contents | None:
    """None: nobody has the address, and nobody may make an account with it; or whoever has it is blocked."""
    user = await tenant.database.read(find_person, payload["connection_id"], payload["to"])
    current = await configuration(tenant)
    connection = current.connections.get(payload["connection_id"])
    is_open = connection is not None and current.takes_signups(connection)
    if user.blocked if user is not None else not is_open:
        return None
    values = {"client": payload["client"], "minutes": payload.get("minutes", MINUTES)}
    return Contents(template="login_code", values=values, code=payload["code"])


def find_person(connection: Connection, connection_id: str, address: str) -> Any:
    """By their identity in this connection, never by an address that some other connection calls theirs
    (`specs/bad-inputs.md` 117)."""
    return connection.execute(_WHO, {"connection": connection_id, "of": address}).one_or_none()
