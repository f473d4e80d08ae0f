"""`/api/v2/subscriptions`: which organization has which product, for how many members and until when.

On tenant one an organization may stand for a tenant: what it has is decided with `update:tenants` there, like
everything of it that is not its own people's business.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import ColumnElement, Connection, Row, bindparam, select

from core.clock import to_iso
from core.errors import InvalidInput
from core.http.paging import parse_text
from core.ids import new_id
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.clients.keys import milliseconds
from tenant_runtime.management.editing import Body, Id, Maybe, merged, named
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.licensing import products
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.organizations.resource import Metadata
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Subscription
from tenant_runtime.organizations.licensing.entitlements import entitlements_of, shown
from tenant_runtime.schema import require_organization_api

_table = Subscription.__table__
Status = Literal["trialing", "active", "past_due", "paused", "canceled"]
Seats = Annotated[int, Meta(ge=0, le=1_000_000)]
Moment = Annotated[datetime, Meta(tz=True)]
_FILTERS = ("organization_id", "product_id", "status")


class SubscriptionPatch(Body):
    status: Maybe[Status] = UNSET
    seats: Maybe[Seats | None] = UNSET
    starts_at: Maybe[Moment] = UNSET
    ends_at: Maybe[Moment | None] = UNSET
    metadata: Maybe[Metadata | None] = UNSET


class SubscriptionIn(SubscriptionPatch, kw_only=True):
    organization_id: Id
    product_id: Id


def shape(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization_id": row.organization_id,
        "product_id": row.product_id,
        "status": row.status,
        "seats": row.seats,
        "starts_at": to_iso(row.starts_at),
        "ends_at": None if row.ends_at is None else to_iso(row.ends_at),
        "metadata": row.metadata,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
    }


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Entity("subscription", _table, "id", shape)
LISTING = Listing("subscriptions", select(_table), (_table.c.created_at, _table.c.id), shape_all)
OF_ORGANIZATION = Listing(
    "subscriptions",
    select(_table).where(_table.c.organization_id == bindparam("organization")),
    (_table.c.created_at, _table.c.id),
    shape_all,
)


@reading("/subscriptions", "read:subscriptions")
async def list_subscriptions(call: CallOf) -> Any:
    await call.read(require_organization_api)
    query = call.request.query_params
    criteria: list[ColumnElement[bool]] = [
        _table.c[name] == text for name in _FILTERS if (text := parse_text(query, name)) is not None
    ]
    return await answer(call, LISTING, *criteria)


@reading("/subscriptions/{id:str}", "read:subscriptions")
async def get_subscription(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(_load, id))


@creating("/subscriptions", "create:subscriptions")
async def create_subscription(call: CallOf, data: JSONBody[SubscriptionIn]) -> dict[str, Any]:
    return await call.write(_create, new_id("sub"), _members(data), call.actor, call.now)


@changing("/subscriptions/{id:str}", "update:subscriptions")
async def update_subscription(
    call: CallOf, id: FromPath[str], data: JSONBody[SubscriptionPatch]
) -> dict[str, Any]:
    return await call.write(_update, id, _members(data), call.actor, call.now)


@removing("/subscriptions/{id:str}", "delete:subscriptions")
async def delete_subscription(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_delete, id, call.actor)


@reading("/organizations/{id:str}/subscriptions", "read:subscriptions")
async def list_organization_subscriptions(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(_check_readable, id, call.actor)
    return await answer(call, OF_ORGANIZATION, organization=id)


@reading("/organizations/{id:str}/entitlements", "read:subscriptions")
async def get_organization_entitlements(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return await call.read(_entitlements, id, call.actor, call.now)


handlers = [
    list_subscriptions,
    get_subscription,
    create_subscription,
    update_subscription,
    delete_subscription,
    list_organization_subscriptions,
    get_organization_entitlements,
]


def _members(data: SubscriptionPatch) -> dict[str, Any]:
    moments = {
        name: milliseconds(value)
        for name in ("starts_at", "ends_at")
        if (value := getattr(data, name)) is not UNSET
    }
    return {**named(data), **moments}


def _load(connection: Connection, id: str) -> Row[Any]:
    require_organization_api(connection)
    return ENTITY.load(connection, id)


def _check_readable(connection: Connection, id: str, actor: Actor) -> None:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor, is_reading=True)


def _entitlements(connection: Connection, id: str, actor: Actor, now: int) -> dict[str, Any]:
    _check_readable(connection, id, actor)
    return shown(id, entitlements_of(connection, id, now))


def _create(connection: Connection, id: str, members: dict[str, Any], actor: Actor, now: int) -> Written:
    require_organization_api(connection)
    organizations.load_manageable(connection, members["organization_id"], actor)
    products.load(connection, members["product_id"])
    usual = {"status": "active", "seats": None, "starts_at": now, "ends_at": None}
    values = {**usual, **members, "metadata": merged({}, members.get("metadata"))}
    _check_times(values)
    return ENTITY.made(ENTITY.create(connection, {**values, "id": id, "created_at": now, "updated_at": now}))


def _update(connection: Connection, id: str, members: dict[str, Any], actor: Actor, now: int) -> Written:
    """Fewer seats than members: nobody is thrown out, and nobody let in."""
    row = _load(connection, id)
    organizations.load_manageable(connection, row.organization_id, actor)
    if "metadata" in members:
        members = {**members, "metadata": merged(row.metadata, members["metadata"])}
    _check_times({**row._mapping, **members})
    return ENTITY.changed(row, ENTITY.change(connection, row, members, now))


def _delete(connection: Connection, id: str, actor: Actor) -> Written:
    require_organization_api(connection)
    row = ENTITY.find(connection, id)
    if row is not None:
        organizations.load_manageable(connection, row.organization_id, actor)
    return ENTITY.remove(connection, id)


def _check_times(values: dict[str, Any]) -> None:
    if values["ends_at"] is not None and values["ends_at"] <= values["starts_at"]:
        raise InvalidInput("`ends_at` must be later than `starts_at`.")
