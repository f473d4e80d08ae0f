"""Organizations on tenant one that are tenants (`specs/organization-api.md` section 0): to make one is to make a
tenant, to delete one is to delete it.

The same steps as for whoever else makes tenants (`core.tenants.TenantLifecycle`): they put the organization on tenant
one and its creator into it, in one transaction, and a server that dies in between goes on with them. What is the
organization's alone (its logo, its metadata, its first team) is written when it is there.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, update

from core.errors import Conflict, TooManyTenants, Unavailable
from core.tenants import NewTenant, Tenant, TenantLifecycle
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.models import Organization
from tenant_runtime.oauth.policy import permissions_of
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.acting import Acting, acting_member
from tenant_runtime.organizations.active import set_active
from tenant_runtime.organizations.fields import keep_fields
from tenant_runtime.organizations.lifecycle.rows import (
    not_a_member,
    organization_by_id,
    organization_by_slug,
)
from tenant_runtime.organizations.lifecycle.units import Created, NewOrganization, first_team
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.wire.errors import refusal

CREATE = "create:tenants"

_table = Organization.__table__


def lifecycle_for(tenant: Tenant, services: Services) -> TenantLifecycle | None:
    """What makes tenants, where organizations are some."""
    if not tenant.is_control_plane or not services.settings.makes_tenants_of_organizations:
        return None
    return services.lifecycle


@dataclass(frozen=True, slots=True)
class Founder:
    user_id: str
    is_verified: bool


async def make_tenant(
    lifecycle: TenantLifecycle, services: Services, one: Tenant, new: NewOrganization, founder: Founder
) -> None:
    """By an operator; or, with self-service, by somebody who proved their address, as many as one person may have.
    Returns when the tenant serves, or when a request has waited long enough: then it is made behind it."""
    is_operator = await one.database.read(_creates_tenants, await configuration(one), founder.user_id)
    if not is_operator:
        _check_self_service(services, founder)
    wanted = NewTenant(
        id=new.slug,
        display_name=new.name,
        creator_user_id=founder.user_id,
        most_of_creator=None if is_operator else services.settings.tenants_per_user,
    )
    try:
        await lifecycle.create(wanted)
    except Conflict:
        raise refusal(400, "ORGANIZATION_ALREADY_EXISTS") from None
    except TooManyTenants:
        raise refusal(403, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_ORGANIZATIONS") from None


def _creates_tenants(connection: Connection, current: Configuration, user_id: str) -> bool:
    held = permissions_of(
        connection, current, user_id=user_id, organization_id=None, server=current.management
    )
    return CREATE in held


def _check_self_service(services: Services, founder: Founder) -> None:
    if not services.settings.tenant_signup:
        raise refusal(403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION")
    if not founder.is_verified:
        raise refusal(403, "EMAIL_NOT_VERIFIED")


async def check_slug(lifecycle: TenantLifecycle, slug: str) -> None:
    """An id that a tenant had is never another's."""
    try:
        await lifecycle.refuse_id(slug)
    except Conflict:
        raise refusal(400, "ORGANIZATION_SLUG_ALREADY_TAKEN") from None


def found_organization(
    connection: Connection,
    acting: Acting,
    new: NewOrganization,
    event: Event,
    *,
    session_id: str | None = None,
) -> Created:
    """As `units.create_organization`, of the one that stands for the tenant just made."""
    row = organization_by_slug(connection, new.slug)
    creator = member_of(connection, row.id, acting.user_id) if row is not None else None
    if row is None or creator is None:
        raise is_being_made()
    values = {"branding": {"logo_url": new.logo} if new.logo else {}, "metadata": dict(new.metadata)}
    connection.execute(update(_table).where(_table.c.id == row.id).values(values))
    keep_fields(connection, "organization", row.id, row.id, new.fields)
    team_id = first_team(connection, acting, replace(new, id=row.id))
    if session_id is not None:
        set_active(connection, session_id, row.id, team_id, acting.now)
    record(connection, replace(event, organization_id=row.id))
    standing = organization_by_id(connection, row.id)
    assert standing is not None
    return Created(standing, creator)


def tenant_to_delete(connection: Connection, acting: Acting, organization_id: str) -> str | None:
    """The tenant's id, for an owner; None where the organization stands for no tenant."""
    row = organization_by_id(connection, organization_id)
    if row is None or row.managed_by is None:
        return None
    may_not = refusal(403, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_ORGANIZATION")
    asked = {"organization": ["delete"]}
    member = acting_member(
        connection, acting, organization_id, asked, stranger=not_a_member(400), otherwise=may_not
    )
    if OWNER not in member.roles:
        raise may_not
    return str(row.name)


def is_being_made() -> Unavailable:
    return Unavailable(
        "The organization is being made. It is in the list of yours as soon as it is there.",
        retry_after=2,
        code="organization_is_being_made",
    )
