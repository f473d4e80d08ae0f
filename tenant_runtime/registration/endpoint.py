"""`/oidc/register` (RFC 7591) and `/oidc/register/{client_id}` (RFC 7592).

Who may register is the tenant's to say: nobody, who holds an initial access token, or anybody. No cookie is ever
asked, so a page of any origin may call these addresses: it comes before there is a client that could name an origin.
The registration access token stays the same when the client changes itself, so an answer that is lost locks nobody
out.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy import Connection

from core.errors import (
    AccessDenied,
    InvalidClientMetadata,
    InvalidRequest,
    InvalidToken,
    NotFound,
    PayloadTooLarge,
)
from core.http.networks import network_of
from core.http.security import bearer_token, is_equal
from core.ids import digest, new_client_id, new_secret
from core.outbound import OutboundFailed, OutboundRefused
from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.body import JSON, media_type, read_body
from tenant_runtime.oauth.wire import Answer, Call, empty_answer, json_answer, serve
from tenant_runtime.registration import clients, initial_tokens
from tenant_runtime.registration.metadata import ClientMetadata, Registered, registered, understood
from tenant_runtime.registration.rates import Rate
from tenant_runtime.registration.reading import json_object

PATH = "/oidc/register"
BY_ADDRESS = Rate(60, 600)
BY_TENANT = Rate(300, 600)
"""Registrations without an initial access token, and changes. Each makes every process read the configuration anew.
Counted in one process; how many clients there may be in all is counted in the database."""

LARGEST = 16 * 1024
"""Bytes that a client may say of itself: each is in the memory of every process, `max_clients` of them."""

_BELOW = re.compile(r"/(?:([A-Za-z0-9]+)/)?")
_NOT_THE_CLIENTS = frozenset(
    {
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    }
)


@asgi(PATH, is_mount=True, copy_scope=False)
async def registration(scope: Scope, receive: Receive, send: Send) -> None:
    """Mounted, because the router knows no parameters in the path of a raw handler; what follows its own path is `/`
    or `/{client_id}/`."""
    asked = _BELOW.fullmatch(scope["path"])
    if asked is None:
        raise NotFound
    if asked[1] is None:
        return await serve(scope, receive, send, ("POST",), _register, from_anywhere=True)
    endpoint = partial(_manage, client_id=asked[1])
    return await serve(scope, receive, send, ("GET", "PUT", "DELETE"), endpoint, from_anywhere=True)


async def _register(call: Call) -> Answer:
    settings = (await configuration(call.tenant)).settings.client_registration
    token = _token(call)
    if settings.mode == "off":
        raise AccessDenied("Clients do not register themselves at this tenant.")
    if token is None and settings.mode != "open":
        raise InvalidToken("An initial access token is required.")
    initial_digest = await _admitted(call, token)
    members = await _members(call)
    new = await _understood(call, understood(members))
    secret, access_token = clients.NewSecret.made(call.tenant.data_key), new_secret()
    made = await call.tenant.database.write(
        _create,
        call.tenant,
        new_client_id(),
        new,
        initial_digest,
        digest(access_token),
        secret,
        settings.max_clients,
        _event(call, "Register a client"),
    )
    return json_answer(_with_address(call, made, access_token), status=201)


async def _admitted(call: Call, token: str | None) -> str | None:
    """The digest of the initial access token. Asked before anything else is done for whoever shows it."""
    if token is None:
        _count(call, "registration")
        return None
    initial_digest = digest(token)
    try:
        await call.tenant.database.read(initial_tokens.require_good, initial_digest, call.now_ms)
    except InvalidToken:
        await initial_tokens.lapsing.refused(call.tenant, initial_digest, call.now_ms)
        raise
    return initial_digest


async def _manage(call: Call, client_id: str) -> Answer:
    token = _token(call)
    if token is None:
        raise InvalidToken("The registration access token is required.")
    if call.method == "GET":
        told = await call.tenant.database.read(_read, call.tenant, client_id, digest(token))
        return json_answer(_with_address(call, told, token))
    if call.method == "DELETE":
        event = _event(call, "Delete a registered client")
        await call.tenant.database.write(_delete, client_id, digest(token), event)
        return empty_answer(status=204)
    told = await call.tenant.database.read(_read, call.tenant, client_id, digest(token))
    if (await configuration(call.tenant)).settings.client_registration.mode == "off":
        raise AccessDenied("Clients do not change themselves at this tenant.")
    _count(call, "changes of registration")
    members = await _members(call)
    _check_change(members, told)
    new = await _understood(call, understood(members))
    secret = clients.NewSecret.made(call.tenant.data_key)
    changed = await call.tenant.database.write(
        _change,
        call.tenant,
        client_id,
        new,
        digest(token),
        secret,
        _event(call, "Change a registered client"),
    )
    return json_answer(_with_address(call, changed, token))


handlers = [registration]


def _token(call: Call) -> str | None:
    values = call.headers.get(b"authorization")
    if values is None:
        return None
    token = bearer_token([(b"authorization", value) for value in values])
    if token is None:
        raise InvalidToken
    return token


def _count(call: Call, what: str) -> None:
    who = (call.tenant.id, call.tenant.incarnation, what)
    call.services.rates.count(BY_ADDRESS, (*who, network_of(call.ip)), call.now_ms)
    call.services.rates.count(BY_TENANT, who, call.now_ms)


async def _members(call: Call) -> dict[str, Any]:
    if media_type(call.one_header(b"content-type")) != JSON:
        raise InvalidRequest("The body must be application/json.", status=415)
    body = await read_body(call.receive, call.one_header(b"content-length"))
    if len(body) > LARGEST:
        raise PayloadTooLarge
    return json_object(body)


async def _understood(call: Call, said: ClientMetadata) -> Registered:
    new = registered(said, call.services.outbound)
    if said.sector_identifier_uri is not None:
        await _check_sector(call, said.sector_identifier_uri, said.redirect_uris)
    return new


async def _check_sector(call: Call, address: str, redirects: list[str]) -> None:
    """OpenID Connect Dynamic Client Registration 1.0, section 5."""
    try:
        fetched = await call.services.outbound.get(address, tenant=call.tenant.id)
        listed = msgspec.json.decode(fetched.body, type=list[str])
    except (OutboundRefused, OutboundFailed, msgspec.DecodeError):
        raise InvalidClientMetadata("The sector_identifier_uri answers no list of addresses.") from None
    if fetched.status != 200 or not set(redirects) <= set(listed):
        raise InvalidClientMetadata("The sector_identifier_uri does not list every redirect address.")


def _check_change(members: dict[str, Any], told: dict[str, Any]) -> None:
    """RFC 7592 section 2.2."""
    if not _NOT_THE_CLIENTS.isdisjoint(members):
        raise InvalidClientMetadata(f"Not the client's to say: {', '.join(sorted(_NOT_THE_CLIENTS))}.")
    if members.get("client_id") != told["client_id"]:
        raise InvalidClientMetadata("The client_id must be the one that is being changed.")
    secret = members.get("client_secret")
    if secret is not None and not is_equal(str(secret), told.get("client_secret", "")):
        raise InvalidClientMetadata("The client_secret is not the client's to choose.")


def _with_address(call: Call, told: dict[str, Any], access_token: str) -> dict[str, Any]:
    return {
        **told,
        "registration_client_uri": f"{call.tenant.origin}{PATH}/{told['client_id']}",
        "registration_access_token": access_token,
    }


def _event(call: Call, what: str) -> Event:
    return Event(
        type="sapi",
        created_at=call.now_ms,
        description=what,
        ip=call.ip,
        user_agent=call.user_agent,
        request_id=call.request_id,
    )


def _create(
    connection: Connection,
    tenant: Tenant,
    client_id: str,
    new: Registered,
    initial_digest: str | None,
    access_digest: str,
    secret: clients.NewSecret,
    most: int,
    event: Event,
) -> dict[str, Any]:
    now = event.created_at
    if initial_digest is not None:
        initial_tokens.use(connection, initial_digest, now)
    clients.make_room(connection, clients.REGISTRATION, most, now - clients.DAY_MS)
    row = clients.register(connection, client_id, new, access_digest, secret, now)
    _record(connection, event, row)
    return clients.told(connection, row, tenant.data_key)


def _read(connection: Connection, tenant: Tenant, client_id: str, token_digest: str) -> dict[str, Any]:
    row = clients.find_registered(connection, client_id, token_digest)
    return clients.told(connection, row, tenant.data_key)


def _change(
    connection: Connection,
    tenant: Tenant,
    client_id: str,
    new: Registered,
    token_digest: str,
    secret: clients.NewSecret,
    event: Event,
) -> dict[str, Any]:
    clients.find_registered(connection, client_id, token_digest)
    row = clients.change(connection, client_id, new, secret, event.created_at)
    _record(connection, event, row)
    return clients.told(connection, row, tenant.data_key)


def _delete(connection: Connection, client_id: str, token_digest: str, event: Event) -> None:
    row = clients.find_registered(connection, client_id, token_digest)
    clients.delete_client(connection, client_id, event.created_at)
    _record(connection, event, row)


def _record(connection: Connection, event: Event, row: Any) -> None:
    record(connection, replace(event, client_id=row.client_id, client_name=row.name))
