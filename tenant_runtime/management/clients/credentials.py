"""`/api/v2/clients/{id}/credentials`: the public keys of a client, one by one, as Auth0 names them.

A key proves its client from the moment it is there, if the client's way of authentication is `private_key_jwt`. Who
adds a key could act as the client, so it takes what the client holds.
"""

from collections.abc import Sequence
from typing import Any

from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, bindparam, delete, select, update

from core.errors import Conflict, InvalidInput, NotFound
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.clients.keys import (
    CredentialIn,
    CredentialPatch,
    KeyChange,
    NewKey,
    change_keys,
    keys_of,
    milliseconds,
    new_key,
    shape,
)
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Client, ClientKey

_clients, _table = Client.__table__, ClientKey.__table__
_CLIENT = select(_clients.c.client_id, _clients.c.jwks_uri).where(_clients.c.client_id == bindparam("client"))
_mine = (_table.c.client_id == bindparam("client")) & (_table.c.id == bindparam("credential"))
_ONE = select(_table).where(_mine)
_REMOVE = delete(_table).where(_mine)
_CHANGE = update(_table).where(_mine)


@reading("/clients/{client_id:str}/credentials", "read:client_credentials")
async def list_client_credentials(call: CallOf, client_id: FromPath[str]) -> list[dict[str, Any]]:
    return await call.read(_list, client_id)


@creating("/clients/{client_id:str}/credentials", "create:client_credentials")
async def create_client_credential(
    call: CallOf, client_id: FromPath[str], data: JSONBody[CredentialIn]
) -> dict[str, Any]:
    return await call.write(_create, client_id, new_key(data), call.actor, call.now)


@reading("/clients/{client_id:str}/credentials/{credential_id:str}", "read:client_credentials")
async def get_client_credential(
    call: CallOf, client_id: FromPath[str], credential_id: FromPath[str]
) -> dict[str, Any]:
    return await call.read(_get, client_id, credential_id)


@changing("/clients/{client_id:str}/credentials/{credential_id:str}", "update:client_credentials")
async def update_client_credential(
    call: CallOf, client_id: FromPath[str], credential_id: FromPath[str], data: JSONBody[CredentialPatch]
) -> dict[str, Any]:
    expires_at = milliseconds(data.expires_at)
    return await call.write(_update, client_id, credential_id, expires_at, call.actor)


@removing("/clients/{client_id:str}/credentials/{credential_id:str}", "delete:client_credentials")
async def delete_client_credential(
    call: CallOf, client_id: FromPath[str], credential_id: FromPath[str]
) -> None:
    await call.write(_delete, client_id, credential_id, call.actor)


def _list(connection: Connection, client_id: str) -> list[dict[str, Any]]:
    _client(connection, client_id)
    return [shape(row) for row in keys_of(connection, client_id)]


def _get(connection: Connection, client_id: str, credential_id: str) -> dict[str, Any]:
    return shape(_one(connection, client_id, credential_id))


def _create(connection: Connection, client_id: str, key: NewKey, actor: Actor, now: int) -> Written:
    client = _client(connection, client_id)
    escalation.check_client(connection, actor, client_id)
    if client.jwks_uri is not None:
        raise InvalidInput("The keys of this client are read from its `jwks_uri`.")
    if any(row.kid == key.kid for row in keys_of(connection, client_id)):
        raise Conflict("A key with this kid already exists.")
    change_keys(connection, client_id, KeyChange((key,)), now)
    shown = _get(connection, client_id, key.id)
    return Written(answer=shown, after=shown)


def _update(
    connection: Connection, client_id: str, credential_id: str, expires_at: int | None, actor: Actor
) -> Written:
    before = _one(connection, client_id, credential_id)
    escalation.check_client(connection, actor, client_id)
    key = {"client": client_id, "credential": credential_id}
    if before.expires_at != expires_at:
        connection.execute(_CHANGE.values(expires_at=expires_at), key)
    shown = _get(connection, client_id, credential_id)
    return Written(answer=shown, before=shape(before), after=shown)


def _delete(connection: Connection, client_id: str, credential_id: str, actor: Actor) -> Written:
    """At once in every process, also the last one of a client that then cannot prove itself any more."""
    key = {"client": client_id, "credential": credential_id}
    row = connection.execute(_ONE, key).one_or_none()
    if row is None:
        return Written()
    escalation.check_client(connection, actor, client_id)
    connection.execute(_REMOVE, key)
    return Written(before=shape(row))


def _client(connection: Connection, client_id: str) -> Any:
    row = connection.execute(_CLIENT, {"client": client_id}).one_or_none()
    if row is None:
        raise NotFound("client")
    return row


def _one(connection: Connection, client_id: str, credential_id: str) -> Any:
    row = connection.execute(_ONE, {"client": client_id, "credential": credential_id}).one_or_none()
    if row is None:
        raise NotFound("credential")
    return row


handlers: Sequence[Any] = [
    list_client_credentials,
    create_client_credential,
    get_client_credential,
    update_client_credential,
    delete_client_credential,
]
