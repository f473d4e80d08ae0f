"""`/api/v2/organizations/{id}/discovery-domains`: domains by which people are led to their organization.

Auth0's shape. Whoever administers the tenant may say that a domain is verified; the organization's own people prove it
(`organizations.domains`).
"""

from typing import Annotated, Any, Literal

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection, Row, bindparam, select

from core.ids import new_id, new_secret
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Maybe, named
from tenant_runtime.management.listing import Items, Listing, Rows, answer
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.routing import changing, creating, reading, removing
from tenant_runtime.models import OrganizationDomain
from tenant_runtime.organizations.domains import units
from tenant_runtime.organizations.domains.addresses import VERIFIED
from tenant_runtime.organizations.domains.names import claimable
from tenant_runtime.organizations.domains.shapes import discovery_domain
from tenant_runtime.schema import require_organization_api

_table = OrganizationDomain.__table__
_BASE = "/organizations/{id:str}/discovery-domains"
_ONE = f"{_BASE}/{{discovery_domain_id:str}}"
_READ = "read:organization_discovery_domains"

Status = Literal["pending", "verified"]


class DiscoveryDomainPatch(Body):
    status: Maybe[Status] = UNSET
    use_for_organization_discovery: Maybe[bool] = UNSET


class DiscoveryDomainIn(DiscoveryDomainPatch, kw_only=True):
    domain: Annotated[str, Meta(min_length=1, max_length=253)]


def _page(_: Connection, rows: Rows) -> Items:
    return [discovery_domain(row) for row in rows]


LISTING = Listing(
    "domains",
    select(_table).where(_table.c.organization_id == bindparam("organization")),
    (_table.c.created_at, _table.c.id),
    _page,
    by_checkpoint=True,
)


@reading(_BASE, _READ)
async def list_discovery_domains(call: CallOf, id: FromPath[str]) -> Any:
    await call.read(_check_readable, id, call.actor)
    return await answer(call, LISTING, organization=id)


@creating(_BASE, "create:organization_discovery_domains")
async def create_discovery_domain(
    call: CallOf, id: FromPath[str], data: JSONBody[DiscoveryDomainIn]
) -> dict[str, Any]:
    members = {**named(data), "domain": claimable(data.domain)}
    return await call.write(_create, id, new_id("dom"), new_secret(24), members, call.actor, call.now)


@reading(_ONE, _READ)
async def get_discovery_domain(
    call: CallOf, id: FromPath[str], discovery_domain_id: FromPath[str]
) -> dict[str, Any]:
    return discovery_domain(await call.read(_load, id, discovery_domain_id, call.actor))


@reading(f"{_BASE}/name/{{discovery_domain:str}}", _READ)
async def get_discovery_domain_by_name(
    call: CallOf, id: FromPath[str], discovery_domain: FromPath[str]
) -> dict[str, Any]:
    return await call.read(_by_name, id, discovery_domain, call.actor)


@changing(_ONE, "update:organization_discovery_domains")
async def update_discovery_domain(
    call: CallOf, id: FromPath[str], discovery_domain_id: FromPath[str], data: JSONBody[DiscoveryDomainPatch]
) -> dict[str, Any]:
    return await call.write(_update, id, discovery_domain_id, named(data), call.actor, call.now)


@removing(_ONE, "delete:organization_discovery_domains")
async def delete_discovery_domain(
    call: CallOf, id: FromPath[str], discovery_domain_id: FromPath[str]
) -> None:
    await call.write(_delete, id, discovery_domain_id, call.actor)


handlers = [
    list_discovery_domains,
    create_discovery_domain,
    get_discovery_domain,
    get_discovery_domain_by_name,
    update_discovery_domain,
    delete_discovery_domain,
]


def _check_readable(connection: Connection, id: str, actor: Actor) -> None:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor, is_reading=True)


def _check_writable(connection: Connection, id: str, actor: Actor) -> None:
    require_organization_api(connection)
    organizations.load_manageable(connection, id, actor)


def _load(connection: Connection, id: str, domain_id: str, actor: Actor) -> Row[Any]:
    _check_readable(connection, id, actor)
    return units.load_domain(connection, id, domain_id)


def _by_name(connection: Connection, id: str, name: str, actor: Actor) -> dict[str, Any]:
    _check_readable(connection, id, actor)
    return discovery_domain(units.load_domain_by_name(connection, id, claimable(name)))


def _create(
    connection: Connection,
    id: str,
    domain_id: str,
    token: str,
    members: dict[str, Any],
    actor: Actor,
    now: int,
) -> Written:
    _check_writable(connection, id, actor)
    discovers = members.get("use_for_organization_discovery", True)
    row = units.add_domain(
        connection, id, domain_id, members["domain"], token, now, is_for_discovery=discovers
    )
    if members.get("status") == VERIFIED:
        row = units.own_domain(connection, row, now)
    shown = discovery_domain(row)
    return Written(answer=shown, after={"organization": id, **shown})


def _update(
    connection: Connection, id: str, domain_id: str, members: dict[str, Any], actor: Actor, now: int
) -> Written:
    _check_writable(connection, id, actor)
    row = before = units.load_domain(connection, id, domain_id)
    status, discovers = members.get("status"), members.get("use_for_organization_discovery")
    if status == VERIFIED and row.status != VERIFIED:
        row = units.own_domain(connection, row, now)
    if status == units.PENDING and row.status == VERIFIED:
        row = units.disown_domain(connection, row, now)
    if discovers is not None and discovers != row.is_for_discovery:
        row = units.change_domain(connection, id, domain_id, now, is_for_discovery=discovers)
    shown, told = discovery_domain(row), {"organization": id}
    return Written(answer=shown, before={**told, **discovery_domain(before)}, after={**told, **shown})


def _delete(connection: Connection, id: str, domain_id: str, actor: Actor) -> Written:
    """What is not there any more is not an error."""
    _check_writable(connection, id, actor)
    known = {row.id: row for row in units.domains_of(connection, id)}
    if domain_id not in known:
        return Written()
    gone = units.remove_domain(connection, id, domain_id)
    return Written(before={"organization": id, **discovery_domain(gone)})
