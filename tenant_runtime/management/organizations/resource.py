"""`/api/v2/organizations`: groups of users inside the tenant.

On tenant one some organizations stand for a tenant (`managed_by`). Name and existence follow that tenant; what else
is theirs is reached here only with the platform permission `update:tenants`, and by their own people through the
organization API (`specs/tenancy.md` section 2). `creation` makes them.
"""

from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection, Row, or_, select

from core.errors import Forbidden, InvalidInput, NotFound
from core.http.paging import parse_text
from tenant_runtime.management.access import Actor
from tenant_runtime.management.addresses import check_link
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, LongText, Maybe, Name, merged, named
from tenant_runtime.management.endings import end_organization
from tenant_runtime.management.entities import Entity
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations import tenants
from tenant_runtime.management.routing import changing, reading, removing
from tenant_runtime.models import Organization
from tenant_runtime.organizations.as_tenants import lifecycle_for

_table = Organization.__table__
OrganizationName = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Color = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=255)], Annotated[str, Meta(max_length=255)] | None],
    Meta(max_length=25),
]
ID_PREFIX = "org_"


class Colors(Body):
    primary: Maybe[Color] = UNSET
    page_background: Maybe[Color] = UNSET


class Branding(Body):
    logo_url: Maybe[LongText | None] = UNSET
    colors: Maybe[Colors | None] = UNSET


class OrganizationPatch(Body):
    """`suspended`: nobody acts in it until it is false again."""

    name: Maybe[OrganizationName] = UNSET
    display_name: Maybe[Name | None] = UNSET
    branding: Maybe[Branding | None] = UNSET
    metadata: Maybe[Metadata | None] = UNSET
    suspended: Maybe[bool] = UNSET


def shape(row: Row[Any]) -> dict[str, Any]:
    shown = {"id": row.id, "name": row.name, "display_name": row.display_name or row.name}
    kept: dict[str, Any] = {"branding": row.branding, "metadata": row.metadata, "managed_by": row.managed_by}
    kept["suspended"] = row.suspended_at is not None
    return {**shown, **{name: value for name, value in kept.items() if value}}


def shape_all(_: Connection, rows: Rows) -> Items:
    return [shape(row) for row in rows]


ENTITY = Entity("organization", _table, "id", shape)
LISTING = Listing(
    "organizations",
    select(_table),
    (_table.c.created_at, _table.c.id),
    shape_all,
    sortable={name: _table.c[name] for name in ("name", "display_name", "created_at")},
)


@reading("/organizations", "read:organizations")
async def list_organizations(call: CallOf) -> Any:
    text = parse_text(call.request.query_params, "q")
    if text is None:
        return await answer(call, LISTING)
    found = (_table.c[name].icontains(text, autoescape=True) for name in ("name", "display_name"))
    return await answer(call, LISTING, or_(*found))


@reading("/organizations/{id:str}", "read:organizations")
async def get_organization(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(ENTITY.load, id))


@reading("/organizations/name/{name:str}", "read:organizations")
async def get_organization_by_name(call: CallOf, name: FromPath[str]) -> dict[str, Any]:
    return shape(await call.read(_by_name, name))


@changing("/organizations/{id:str}", "update:organizations")
async def update_organization(
    call: CallOf, id: FromPath[str], data: JSONBody[OrganizationPatch]
) -> dict[str, Any]:
    return await call.write(_update, id, checked(data), call.actor, call.now)


@removing("/organizations/{id:str}", "delete:organizations")
async def delete_organization(call: CallOf, id: FromPath[str]) -> None:
    if (lifecycle := lifecycle_for(call.tenant, call.services)) is not None:
        row = await call.read(ENTITY.load, id)
        tenant_id = tenants.tenant_of(row, call.actor)
        if tenant_id is not None:
            await lifecycle.delete(tenant_id)
            await call.write(tenants.gone, shape(row))
            return
    await call.write(_delete, id, call.now)


def load_manageable(connection: Connection, id: str, actor: Actor, *, is_reading: bool = False) -> Row[Any]:
    row = ENTITY.load(connection, id)
    enough = ("read:tenants", "update:tenants") if is_reading else ("update:tenants",)
    if row.managed_by is not None and not actor.holds(*enough):
        raise Forbidden(
            "The organization of a tenant is managed with update:tenants, or by its own administrators.",
            code="insufficient_scope",
        )
    return row


def checked(data: OrganizationPatch) -> dict[str, Any]:
    members = named(data)
    if members.get("name", "").startswith(ID_PREFIX):
        raise InvalidInput(f"`name` must not look like an id: it begins with {ID_PREFIX}.")
    check_link("branding.logo_url", (members.get("branding") or {}).get("logo_url"))
    return members


def _by_name(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(_table).where(_table.c.name == name.lower())).one_or_none()
    if row is None:
        raise NotFound("organization")
    return row


def _update(connection: Connection, id: str, members: dict[str, Any], actor: Actor, now: int) -> Written:
    row = load_manageable(connection, id, actor) if members else ENTITY.load(connection, id)
    objects: dict[str, Any] = {
        name: merged(row._mapping[name], members[name])
        for name in ("branding", "metadata")
        if name in members
    }
    if members.get("suspended") and row.managed_by is not None:
        raise stands_for_tenant()
    values = {**stored(members, row.suspended_at, now), **objects}
    return ENTITY.changed(row, ENTITY.change(connection, row, values, now))


def stored(members: dict[str, Any], suspended_at: int | None, now: int) -> dict[str, Any]:
    """`suspended_at`: since when it has been."""
    values = {name: value for name, value in members.items() if name != "suspended"}
    if "suspended" in members:
        values["suspended_at"] = (suspended_at or now) if members["suspended"] else None
    return values


def stands_for_tenant() -> Forbidden:
    message = "The organization of a tenant is not suspended: the tenant is."
    return Forbidden(message, code="operation_not_supported")


def _delete(connection: Connection, id: str, now: int) -> Written:
    """What was issued for the organization ends with it."""
    written = ENTITY.remove(connection, id)
    end_organization(connection, id, now)
    return written


handlers = [
    list_organizations,
    get_organization,
    get_organization_by_name,
    update_organization,
    delete_organization,
]
