"""`/api/v2/log-streams`.

A stream begins with what happens from now on, or at `startFrom` as far as events are kept; what is paused or suspended
keeps its place, and goes on there when it is active again. `startFrom` in a PATCH goes back to a time.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, Row, func, insert, select

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.errors import InvalidInput
from core.ids import new_id
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import named
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.log_streams.bodies import (
    HTTP,
    LogStreamIn,
    LogStreamPatch,
    check_sink,
    check_type,
    moment,
)
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.management.streams import Streams, check_room, followed, readable, rotate
from tenant_runtime.models import LogEvent, LogStream
from tenant_runtime.streams.log_batches import NEWEST
from tenant_runtime.streams.secrets import StreamSecrets, open_secrets, seal_secrets
from tenant_runtime.streams.signing import new_signing_secret

READING = "read:log_streams"
PREFIX = "lst"
_table, _e = LogStream.__table__, LogEvent.__table__.c
_DEFAULTS = {"httpContentType": "application/json", "httpContentFormat": "JSONLINES"}


def shape(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "status": row.status,
        "sink": row.sink,
        "filters": row.filters,
    }


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Streams("log_stream", _table, "id", shape)
LISTING = Listing(
    "log_streams",
    select(*(column for column in _table.c if column.name != "secrets")),
    (_table.c.created_at, _table.c.id),
    shape_all,
)


@reading("/log-streams", "read:log_streams")
async def list_log_streams(call: CallOf) -> Any:
    return await answer(call, LISTING)


@reading("/log-streams/{id:str}", "read:log_streams")
async def get_log_stream(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(ENTITY.load, id))


@reading("/log-streams/{id:str}/stats", "read:log_streams")
async def get_log_stream_stats(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    """How far it is, and why it is no further."""
    await call.services.audit.flush(call.tenant)
    return await call.read(_stats, id)


@creating("/log-streams", "create:log_streams")
async def create_log_stream(call: CallOf, data: JSONBody[LogStreamIn]) -> dict[str, Any]:
    members = _said(call, data)
    check_type(members["type"])
    if "httpEndpoint" not in members["sink"]:
        raise InvalidInput("`sink.httpEndpoint` is missing.")
    await call.services.audit.flush(call.tenant)
    shown = await call.write(_create, new_id(PREFIX), members, call.tenant.data_key, call.now)
    return followed(call, shown, READING)


@changing("/log-streams/{id:str}", "update:log_streams")
async def update_log_stream(
    call: CallOf, id: FromPath[str], data: JSONBody[LogStreamPatch]
) -> dict[str, Any]:
    shown = await call.write(_update, id, _said(call, data), call.tenant.data_key, call.now)
    return followed(call, shown, READING)


@removing("/log-streams/{id:str}", "delete:log_streams")
async def delete_log_stream(call: CallOf, id: FromPath[str]) -> None:
    await call.write(ENTITY.remove, id)


@creating("/log-streams/{id:str}/rotate-secret", "update:log_streams", status_code=200)
async def rotate_log_stream_secret(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    """The one before signs beside the new one for a day."""
    shown = await call.write(rotate, ENTITY, id, call.tenant.data_key, call.now)
    return readable(call, shown, READING)


def _said(call: Call, data: LogStreamPatch) -> dict[str, Any]:
    members = named(data)
    check_sink(members.get("sink", {}), call.services.outbound)
    return members


def _create(
    connection: Connection, id: str, members: Mapping[str, Any], data_key: DataKey, now: int
) -> Written:
    check_room(connection, _table)
    sink = dict(members["sink"])
    secrets = StreamSecrets(signing=new_signing_secret(), authorization=sink.pop("httpAuthorization", None))
    values = {
        "id": id,
        "name": members.get("name") or "Log stream",
        "type": HTTP,
        "status": members.get("status", "active"),
        "sink": {**_DEFAULTS, **sink},
        "filters": members.get("filters", []),
        "secrets": seal_secrets(data_key, _table.name, id, secrets),
        "position": _place(connection, members.get("startFrom")),
        "attempts": 0,
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
    before = shape(row)
    values = {name: members[name] for name in ("name", "status", "filters") if name in members}
    values |= _changed_sink(row, members.get("sink", {}), data_key)
    if "startFrom" in members:
        values["position"] = _place(connection, members["startFrom"])
    after = ENTITY.change(connection, row, {**values, **_begun_anew(row, values)}, now)
    shown = shape(after)
    told = {**shown, "position": after.position} if after.position != row.position else shown
    if after.secrets != row.secrets:
        told = {**told, "authorization_changed": True}
    return Written(answer=shown, before=before, after=told)


def _begun_anew(row: Row[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Whoever is sending by what was said before finds that the stream is not theirs any more."""
    is_asked_for = values.get("status") == "active"
    if not is_asked_for and not any(
        row._mapping[name] != value for name, value in values.items() if name != "name"
    ):
        return {}
    return {"attempts": 0, "due_at": None, "leased_until": None, "last_error": None}


def _changed_sink(row: Row[Any], said: Mapping[str, Any], data_key: DataKey) -> dict[str, Any]:
    sink = {**row.sink, **{name: value for name, value in said.items() if name != "httpAuthorization"}}
    secrets = open_secrets(data_key, _table.name, row.id, row.secrets)
    if "httpAuthorization" in said:
        if said["httpAuthorization"] == secrets.authorization:
            return {"sink": sink}
        kept = msgspec.structs.replace(secrets, authorization=said["httpAuthorization"])
        return {"sink": sink, "secrets": seal_secrets(data_key, _table.name, row.id, kept)}
    if secrets.authorization is not None and sink["httpEndpoint"] != row.sink["httpEndpoint"]:
        raise InvalidInput("With another `httpEndpoint`, `httpAuthorization` must be given again.")
    return {"sink": sink} if said else {}


def _place(connection: Connection, start_from: str | None) -> int:
    """The last event that is not sent."""
    newest = int(connection.execute(NEWEST).scalar_one())
    if start_from is None:
        return newest
    since = select(func.min(_e.sequence)).where(_e.created_at >= moment(start_from))
    first = connection.execute(since).scalar_one()
    return newest if first is None else int(first) - 1


def _stats(connection: Connection, id: str) -> dict[str, Any]:
    row = ENTITY.load(connection, id)
    newest = connection.execute(NEWEST).scalar_one()
    shown = {
        "status": row.status,
        "events_behind": newest - row.position,
        "attempts": row.attempts,
        "last_error": row.last_error,
        "last_delivered_at": to_iso(row.delivered_at) if row.delivered_at else None,
        "next_attempt_at": to_iso(row.due_at) if row.due_at else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


handlers = [
    list_log_streams,
    get_log_stream,
    get_log_stream_stats,
    create_log_stream,
    update_log_stream,
    delete_log_stream,
    rotate_log_stream_secret,
]
