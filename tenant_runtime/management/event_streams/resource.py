"""`/api/v2/event-streams`. What happens while a stream is disabled is not told later."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, Row, insert, select

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.errors import InvalidInput
from core.ids import new_id
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import named
from tenant_runtime.management.event_streams.bodies import (
    EventStreamIn,
    EventStreamPatch,
    check,
    header_of,
)
from tenant_runtime.management.event_streams.bodies import (
    readable as shown_authorization,
)
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.management.streams import Streams, check_room, followed, readable, rotate
from tenant_runtime.models import EventStream
from tenant_runtime.streams.changes import NEWEST
from tenant_runtime.streams.secrets import StreamSecrets, open_secrets, seal_secrets
from tenant_runtime.streams.signing import new_signing_secret

READING = "read:event_streams"
PREFIX = "est"
_table = EventStream.__table__


def shape(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "subscriptions": row.subscriptions,
        "destination": row.destination,
        "status": row.status,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
    }


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Streams("event_stream", _table, "id", shape)
LISTING = Listing(
    "eventStreams",
    select(*(column for column in _table.c if column.name != "secrets")),
    (_table.c.created_at, _table.c.id),
    shape_all,
)


@reading("/event-streams", "read:event_streams")
async def list_event_streams(call: CallOf) -> Any:
    return await answer(call, LISTING)


@reading("/event-streams/{id:str}", "read:event_streams")
async def get_event_stream(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(ENTITY.load, id))


@creating("/event-streams", "create:event_streams")
async def create_event_stream(call: CallOf, data: JSONBody[EventStreamIn]) -> dict[str, Any]:
    members = _said(call, data)
    if "webhook_endpoint" not in members["destination"]["configuration"]:
        raise InvalidInput("`destination.configuration.webhook_endpoint` is missing.")
    shown = await call.write(_create, new_id(PREFIX), members, call.tenant.data_key, call.now)
    return followed(call, shown, READING)


@changing("/event-streams/{id:str}", "update:event_streams")
async def update_event_stream(
    call: CallOf, id: FromPath[str], data: JSONBody[EventStreamPatch]
) -> dict[str, Any]:
    shown = await call.write(_update, id, _said(call, data), call.tenant.data_key, call.now)
    return followed(call, shown, READING)


@removing("/event-streams/{id:str}", "delete:event_streams")
async def delete_event_stream(call: CallOf, id: FromPath[str]) -> None:
    await call.write(ENTITY.remove, id)


@creating("/event-streams/{id:str}/rotate-secret", "update:event_streams", status_code=200)
async def rotate_event_stream_secret(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    """The one before signs beside the new one for a day."""
    shown = await call.write(rotate, ENTITY, id, call.tenant.data_key, call.now)
    return readable(call, shown, READING)


def _said(call: Call, data: EventStreamPatch) -> dict[str, Any]:
    members = named(data)
    check(members, call.services.outbound, call.tenant.is_control_plane)
    return members


def _create(
    connection: Connection, id: str, members: Mapping[str, Any], data_key: DataKey, now: int
) -> Written:
    check_room(connection, _table)
    configuration = members["destination"]["configuration"]
    authorization = configuration.get("webhook_authorization")
    secrets = StreamSecrets(
        signing=new_signing_secret(), authorization=header_of(authorization) if authorization else None
    )
    values = {
        "id": id,
        "name": members.get("name") or "Event stream",
        "status": members.get("status", "enabled"),
        "subscriptions": members["subscriptions"],
        "destination": _destination({}, configuration),
        "secrets": seal_secrets(data_key, _table.name, id, secrets),
        "position": connection.execute(NEWEST).scalar_one(),
        "created_at": now,
        "updated_at": now,
    }
    connection.execute(insert(_table), values)
    shown = shape(ENTITY.load(connection, id))
    return Written(answer={**shown, "signing_secret": secrets.signing}, after=shown)


def _update(
    connection: Connection, id: str, members: Mapping[str, Any], data_key: DataKey, now: int
) -> Written:
    row = ENTITY.load(connection, id)
    values = {name: members[name] for name in ("name", "subscriptions", "status") if name in members}
    if "destination" in members:
        values |= _redirected(row, members["destination"]["configuration"], data_key)
    if values.get("status") == "enabled" and row.status == "disabled":
        values["position"] = connection.execute(NEWEST).scalar_one()
    after = ENTITY.change(connection, row, values, now)
    before, shown = shape(row), shape(after)
    told = {**shown, "authorization_changed": True} if after.secrets != row.secrets else shown
    return Written(answer=shown, before=before, after=told)


def _redirected(row: Row[Any], said: Mapping[str, Any], data_key: DataKey) -> dict[str, Any]:
    known = row.destination["configuration"]
    destination = _destination(known, said)
    secrets = open_secrets(data_key, _table.name, row.id, row.secrets)
    if "webhook_authorization" in said:
        authorization = said["webhook_authorization"]
        header = header_of(authorization) if authorization else None
        if header == secrets.authorization:
            return {"destination": destination}
        kept = msgspec.structs.replace(secrets, authorization=header)
        return {"destination": destination, "secrets": seal_secrets(data_key, _table.name, row.id, kept)}
    is_new = destination["configuration"]["webhook_endpoint"] != known["webhook_endpoint"]
    if secrets.authorization is not None and is_new:
        raise InvalidInput("With another `webhook_endpoint`, `webhook_authorization` must be given again.")
    return {"destination": destination}


def _destination(known: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    configuration = {**known, **said}
    authorization = configuration.pop("webhook_authorization", None)
    if authorization:
        configuration["webhook_authorization"] = shown_authorization(authorization)
    return {"type": "webhook", "configuration": configuration}


handlers = [
    list_event_streams,
    get_event_stream,
    create_event_stream,
    update_event_stream,
    delete_event_stream,
    rotate_event_stream_secret,
]
