"""`/api/v2/event-streams/{id}/deliveries`, `/redeliver` and `/test`: what did not arrive, sent again, and tried.

Listed are deliveries that failed: those that are tried again, and those that were given up. They are kept for two
weeks, and the changes that they tell of as long.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, insert, literal, select

from core.clock import to_iso
from core.errors import InvalidQuery, NotFound
from core.http.paging import parse_text
from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.deliveries import enqueue
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.event_streams import resource as streams
from tenant_runtime.management.event_streams.bodies import RedeliverBody, TestBody, check_event_type
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.log_streams.bodies import moment
from tenant_runtime.management.routing import creating, reading
from tenant_runtime.models import Change, Delivery
from tenant_runtime.streams import changes

_table, _change = Delivery.__table__, Change.__table__
_d, _c = _table.c, _change.c
_FAILED = (
    select(_d.id, _d.attempts, _d.last_error, _d.failed_at, _d.created_at)
    .where(
        _d.kind == changes.KIND,
        _d.recipient == bindparam("stream"),
        _d.last_error.is_not(None),
        _d.delivered_at.is_(None),
    )
)  # fmt: skip
_CHANGES = select(_change).where(_c.id.in_(bindparam("ids", expanding=True)))
_CHANGE = select(_change).where(_c.id == bindparam("of"))
MOST_AT_ONCE = 1000


def _event_id(row: Any) -> str:
    return str(row.id).partition(".")[2]


def _shape_all(connection: Connection, rows: Rows) -> Items:
    ids = [_event_id(row) for row in rows]
    found = {row.id: row for row in connection.execute(_CHANGES, {"ids": ids})} if ids else {}
    return [_shape(row, found.get(_event_id(row))) for row in rows]


def _shape(row: Any, change: Any | None) -> dict[str, Any]:
    """Of the attempts the last one is known. The event itself is in the answer to a single one."""
    last = row.failed_at or row.created_at
    shown: dict[str, Any] = {
        "id": _event_id(row),
        "event_stream_id": str(row.id).partition(".")[0],
        "status": "failed",
        "attempts": [{"status": "failed", "timestamp": to_iso(last), "error_message": row.last_error}],
        "attempts_count": row.attempts,
        "is_given_up": row.failed_at is not None,
    }
    return shown if change is None else {**shown, "event_type": change.type.removesuffix(changes.TEST_SUFFIX)}


LISTING = Listing("deliveries", _FAILED, (_d.created_at, _d.id), _shape_all)


@reading("/event-streams/{id:str}/deliveries", "read:event_deliveries")
async def list_event_deliveries(call: CallOf, id: FromPath[str]) -> Any:
    query = call.request.query_params
    await call.read(streams.ENTITY.load, id)
    if (statuses := parse_text(query, "statuses")) is not None and statuses != "failed":
        raise InvalidQuery("The parameter 'statuses' may be failed.")
    types = parse_text(query, "event_types")
    criteria = _criteria(
        id,
        parse_text(query, "date_from"),
        parse_text(query, "date_to"),
        types.split(",") if types is not None else None,
    )
    return await answer(call, LISTING, *criteria, stream=id)


@reading("/event-streams/{id:str}/deliveries/{event_id:str}", "read:event_deliveries")
async def get_event_delivery(call: CallOf, id: FromPath[str], event_id: FromPath[str]) -> dict[str, Any]:
    return await call.read(_get, call.tenant, id, event_id)


@creating("/event-streams/{id:str}/redeliver", "update:event_deliveries", status_code=202)
async def redeliver_events(call: CallOf, id: FromPath[str], data: JSONBody[RedeliverBody]) -> dict[str, Any]:
    said = {name: getattr(data, name) for name in data.__struct_fields__}
    asked = {name: value for name, value in said.items() if value is not UNSET}
    criteria = _criteria(id, asked.get("date_from"), asked.get("date_to"), asked.get("event_types"))
    count = await call.write(_redeliver_failed, call.tenant, id, criteria, call.now)
    call.services.deliveries.soon(call.tenant)
    return {**asked, "redeliveries": count}


@creating("/event-streams/{id:str}/redeliver/{event_id:str}", "update:event_deliveries", status_code=202)
async def redeliver_event(call: CallOf, id: FromPath[str], event_id: FromPath[str]) -> None:
    await call.write(_redeliver_one, call.tenant, id, event_id, call.now)
    call.services.deliveries.soon(call.tenant)


@creating("/event-streams/{id:str}/test", "update:event_streams", status_code=200)
async def send_test_event(call: CallOf, id: FromPath[str], data: JSONBody[TestBody]) -> dict[str, Any]:
    """A message that says it is a test, with what `data` says; its type may be any of the stream's tenant."""
    check_event_type(data.event_type, call.tenant.is_control_plane)
    said = {} if data.data is UNSET else dict(data.data)
    shown = await call.write(_test, call, id, data.event_type, said)
    call.services.deliveries.soon(call.tenant)
    return shown


def _criteria(
    stream_id: str, since: str | None, until: str | None, types: Sequence[str] | None
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if since is not None:
        found.append(_d.created_at >= moment(since))
    if until is not None:
        found.append(_d.created_at < moment(until))
    if types is not None:
        of_types = select(literal(f"{stream_id}.") + _c.id).where(_c.type.in_(types))
        found.append(_d.id.in_(of_types))
    return found


def _get(connection: Connection, tenant: Tenant, id: str, event_id: str) -> dict[str, Any]:
    streams.ENTITY.load(connection, id)
    statement = _FAILED.where(_d.id == changes.delivery_id(id, event_id))
    row = connection.execute(statement, {"stream": id}).one_or_none()
    if row is None:
        raise NotFound("event_delivery")
    change = connection.execute(_CHANGE, {"of": event_id}).one_or_none()
    shown = _shape(row, change)
    return shown if change is None else {**shown, "event": _message(connection, tenant, id, change)}


def _message(connection: Connection, tenant: Tenant, id: str, change: Row[Any]) -> dict[str, Any]:
    return changes.message(tenant, id, change, changes.rows_beside(connection, change))


def _redeliver_failed(
    connection: Connection, tenant: Tenant, id: str, criteria: Sequence[ColumnElement[bool]], now: int
) -> Written:
    """The oldest first, a bounded number of them: the answer says how many."""
    streams.ENTITY.load(connection, id)
    statement: Select[Any] = _FAILED.where(*criteria).order_by(_d.created_at, _d.id).limit(MOST_AT_ONCE)
    rows = connection.execute(statement, {"stream": id}).all()
    known = (
        set(connection.execute(_CHANGES, {"ids": [_event_id(row) for row in rows]}).scalars())
        if rows
        else set()
    )
    again = [_event_id(row) for row in rows if _event_id(row) in known]
    for event_id in again:
        _enqueue_again(connection, tenant, id, event_id, now)
    told = {"event_stream": id, "redelivered": len(again)}
    return Written(answer=len(again), after=told if again else None)


def _redeliver_one(connection: Connection, tenant: Tenant, id: str, event_id: str, now: int) -> Written:
    """Also one that did arrive, as long as the change is kept."""
    streams.ENTITY.load(connection, id)
    if connection.execute(_CHANGE, {"of": event_id}).one_or_none() is None:
        raise NotFound("event")
    _enqueue_again(connection, tenant, id, event_id, now)
    return Written(after={"event_stream": id, "redelivered": event_id})


def _enqueue_again(connection: Connection, tenant: Tenant, id: str, event_id: str, now: int) -> None:
    connection.execute(delete(_table).where(_d.id == changes.delivery_id(id, event_id)))
    enqueue(connection, tenant.data_key, changes.outgoing(id, event_id), now)


def _test(connection: Connection, call: Call, id: str, event_type: str, data: Mapping[str, Any]) -> Written:
    streams.ENTITY.load(connection, id)
    event_id = new_id("evt")
    values = {
        "id": event_id,
        "sequence": changes.NEXT.scalar_subquery(),
        "type": event_type + changes.TEST_SUFFIX,
        "data": dict(data),
        "created_at": call.now,
    }
    connection.execute(insert(_change).values(values))
    enqueue(connection, call.tenant.data_key, changes.outgoing(id, event_id), call.now)
    change = connection.execute(_CHANGE, {"of": event_id}).one()
    shown = {
        "id": event_id,
        "event_stream_id": id,
        "status": "pending",
        "event_type": event_type,
        "attempts": [],
        "event": changes.message(call.tenant, id, change, ()),
    }
    return Written(answer=shown, after={"event_stream": id, "test": event_id})


handlers = [
    list_event_deliveries,
    get_event_delivery,
    redeliver_events,
    redeliver_event,
    send_test_event,
]
