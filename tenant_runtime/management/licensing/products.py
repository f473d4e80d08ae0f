"""`/api/v2/products`: what the tenant sells, as a list of features."""

from collections.abc import Iterable
from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection, Row, exists, or_, select

from core.clock import to_iso
from core.errors import Conflict, InvalidInput
from core.http.paging import parse_text
from core.ids import new_id
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Maybe, Name, merged, named
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations.resource import Metadata
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import Product, Subscription
from tenant_runtime.organizations.licensing.features import PATTERN, key_of
from tenant_runtime.schema import require_organization_api

_table, _sold = Product.__table__, Subscription.__table__
ProductName = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Features = Annotated[list[Annotated[str, Meta(pattern=PATTERN)]], Meta(max_length=100)]


class ProductPatch(Body):
    name: Maybe[ProductName] = UNSET
    display_name: Maybe[Name | None] = UNSET
    features: Maybe[Features] = UNSET
    metadata: Maybe[Metadata | None] = UNSET


class ProductIn(ProductPatch, kw_only=True):
    name: ProductName


def shape(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "display_name": row.display_name or row.name,
        "features": row.features,
        "metadata": row.metadata,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
    }


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Entity("product", _table, "id", shape)
LISTING = Listing(
    "products",
    select(_table),
    (_table.c.created_at, _table.c.id),
    shape_all,
    sortable={name: _table.c[name] for name in ("name", "display_name", "created_at")},
)


@reading("/products", "read:products")
async def list_products(call: CallOf) -> Any:
    await call.read(require_organization_api)
    text = parse_text(call.request.query_params, "q")
    if text is None:
        return await answer(call, LISTING)
    found = (_table.c[name].icontains(text, autoescape=True) for name in ("name", "display_name"))
    return await answer(call, LISTING, or_(*found))


@reading("/products/{id:str}", "read:products")
async def get_product(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(load, id))


@creating("/products", "create:products")
async def create_product(call: CallOf, data: JSONBody[ProductIn]) -> dict[str, Any]:
    return await call.write(_create, new_id("prd"), _checked(data), call.now)


@changing("/products/{id:str}", "update:products")
async def update_product(call: CallOf, id: FromPath[str], data: JSONBody[ProductPatch]) -> dict[str, Any]:
    return await call.write(_update, id, _checked(data), call.now)


@removing("/products/{id:str}", "delete:products")
async def delete_product(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_delete, id)


handlers = [list_products, get_product, create_product, update_product, delete_product]


def load(connection: Connection, id: str) -> Row[Any]:
    require_organization_api(connection)
    return ENTITY.load(connection, id)


def _checked(data: ProductPatch) -> dict[str, Any]:
    members = named(data)
    _check_once(map(key_of, members.get("features", ())))
    return members


def _check_once(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise InvalidInput(f"`features` must name {key} once.")
        seen.add(key)


def _create(connection: Connection, id: str, members: dict[str, Any], now: int) -> Written:
    require_organization_api(connection)
    values = {"features": [], **members, "metadata": merged({}, members.get("metadata"))}
    return ENTITY.made(ENTITY.create(connection, {**values, "id": id, "created_at": now, "updated_at": now}))


def _update(connection: Connection, id: str, members: dict[str, Any], now: int) -> Written:
    row = load(connection, id)
    if "metadata" in members:
        members = {**members, "metadata": merged(row.metadata, members["metadata"])}
    return ENTITY.changed(row, ENTITY.change(connection, row, members, now))


def _delete(connection: Connection, id: str) -> Written:
    """One that an organization has, or had, stays: what it had would go as well."""
    require_organization_api(connection)
    if connection.execute(select(exists().where(_sold.c.product_id == id))).scalar_one():
        raise Conflict("The product has subscriptions: delete them first.", code="product_in_use")
    return ENTITY.remove(connection, id)
