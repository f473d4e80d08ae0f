"""`/api/v2/organizations/{id}/client-grants`: which clients may act in an organization's name (client credentials).

On tenant one an organization stands for a tenant, and a token of it reaches that tenant: this takes `update:tenants`
there, like everything that decides who manages a tenant.
"""

from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy import ColumnElement, Connection, bindparam, delete, select

from core.clock import next_second
from core.database.sql import insert
from core.errors import InvalidInput
from core.given import consent_name
from core.http.paging import parse_text
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.clients import grants
from tenant_runtime.management.editing import Body
from tenant_runtime.management.listing import Listing, answer
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import creating, reading, removing
from tenant_runtime.models import ClientGrant, Organization, OrganizationClientGrant
from tenant_runtime.oauth.tokens.families import withdraw
from tenant_runtime.standing import MACHINE

_table, _grant, _organization = (
    model.__table__ for model in (OrganizationClientGrant, ClientGrant, Organization)
)
LISTING = Listing(
    "client_grants",
    select(*_grant.c, _table.c.created_at.label("added_at"))
    .join(_table, _table.c.client_grant_id == _grant.c.id)
    .where(_table.c.organization_id == bindparam("organization")),
    (_grant.c.created_at, _grant.c.id),
    grants.shape_all,
)
ORGANIZATIONS = Listing(
    "organizations",
    select(_organization)
    .join(_table, _table.c.organization_id == _organization.c.id)
    .where(_table.c.client_grant_id == bindparam("grant")),
    (_organization.c.created_at, _organization.c.id),
    organizations.shape_all,
)


class OrganizationGrantIn(Body, kw_only=True):
    grant_id: Annotated[str, Meta(min_length=1, max_length=50)]


@reading("/organizations/{id:str}/client-grants", "read:organization_client_grants")
async def list_organization_client_grants(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(_readable, id, call.actor)
    query = call.request.query_params
    criteria: list[ColumnElement[bool]] = [
        _grant.c[name] == text
        for name in ("client_id", "audience")
        if (text := parse_text(query, name)) is not None
    ]
    if ids := query.getall("grant_ids", []):
        criteria.append(_grant.c.id.in_(ids))
    return await answer(call, LISTING, *criteria, organization=id)


@creating("/organizations/{id:str}/client-grants", "create:organization_client_grants")
async def add_organization_client_grant(
    call: CallOf, id: FromPath[str], data: JSONBody[OrganizationGrantIn]
) -> dict[str, Any]:
    return await call.write(_add, id, data.grant_id, call.actor, call.now)


@removing("/organizations/{id:str}/client-grants/{grant_id:str}", "delete:organization_client_grants")
async def remove_organization_client_grant(call: CallOf, id: FromPath[str], grant_id: FromPath[str]) -> None:
    await call.write(_remove, id, grant_id, call.actor, call.now)


@reading("/client-grants/{id:str}/organizations", "read:organization_client_grants")
async def list_client_grant_organizations(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(_readable_grant, id)
    return await answer(call, ORGANIZATIONS, grant=id)


handlers = [
    list_organization_client_grants,
    add_organization_client_grant,
    remove_organization_client_grant,
    list_client_grant_organizations,
]


def _readable(connection: Connection, id: str, actor: Actor) -> None:
    organizations.load_manageable(connection, id, actor, is_reading=True)


def _readable_grant(connection: Connection, id: str) -> None:
    grants.ENTITY.load(connection, id)


def _add(connection: Connection, id: str, grant_id: str, actor: Actor, now: int) -> Written:
    organizations.load_manageable(connection, id, actor)
    grant = grants.ENTITY.load(connection, grant_id)
    if grant.organization_usage not in ("allow", "require"):
        raise InvalidInput(
            "The client grant is not for organizations: its `organization_usage` is not allow or require."
        )
    row = {"organization_id": id, "client_grant_id": grant_id, "created_at": now}
    added = connection.execute(insert(_table).on_conflict_do_nothing(), row).rowcount
    shown = grants.shape(grant)
    return Written(answer=shown, after={"organization": id, "client_grant": shown} if added else None)


def _remove(connection: Connection, id: str, grant_id: str, actor: Actor, now: int) -> Written:
    """What the client was issued for the organization on it is accepted here no more."""
    organizations.load_manageable(connection, id, actor)
    where = (_table.c.organization_id == id, _table.c.client_grant_id == grant_id)
    if not connection.execute(delete(_table).where(*where)).rowcount:
        return Written()
    grant = grants.ENTITY.load(connection, grant_id)
    name = consent_name(f"{grant.client_id}{MACHINE}", grant.client_id, grant.audience, id)
    withdraw(connection, name, now_ms=next_second(now), reason="grant_taken")
    return Written(before={"organization": id, "client_grant_id": grant_id})
