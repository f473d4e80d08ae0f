"""Tools for organizations themselves. Which one an agent is in is said by its access token: switching is getting
another token, and that is the client's to do."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from core.errors import InvalidRequest
from core.ids import new_id
from tenant_runtime.agents.resource import address_of
from tenant_runtime.agents.tool_calls import ToolCall, other_organization
from tenant_runtime.organizations.access import OWNER
from tenant_runtime.organizations.as_tenants import Founder, found_organization, lifecycle_for, make_tenant
from tenant_runtime.organizations.lifecycle import rows, units
from tenant_runtime.organizations.lifecycle.rows import not_a_member
from tenant_runtime.organizations.lifecycle.shapes import organization_as_object
from tenant_runtime.organizations.lifecycle.units import NewOrganization as New
from tenant_runtime.organizations.lifecycle.values import checked
from tenant_runtime.organizations.membership import MemberOrganization, NotAMember
from tenant_runtime.organizations.people.shapes import member_shown
from tenant_runtime.organizations.teams.units import new_team_ids
from tenant_runtime.organizations.wire.names import ONE_LINE

Slug = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9][a-z0-9-]*\Z",
        description="Its name in addresses: small letters, digits and hyphens",
    ),
]
Name = Annotated[
    str,
    Meta(min_length=1, max_length=255, pattern=ONE_LINE, description="Its name for people: one line of text"),
]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class NewOrganization(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    name: Name
    slug: Slug


class WantedOrganization(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    organization_id: Annotated[str, Meta(min_length=1, max_length=255, description="Id of the organization")]


async def list_organizations(call: ToolCall, _: Nothing) -> dict[str, Any]:
    found = await call.read(rows.organizations_of, call.agent.user_id)
    own = call.agent.organization_id
    return {"organizations": [_listed(organization_as_object(row, {}, {}), own) for row in found]}


def _listed(shown: dict[str, Any], own: str | None) -> dict[str, Any]:
    """Of others than the token's no more than it takes to switch to them."""
    is_current = shown["id"] == own
    names = shown if own is None or is_current else ("id", "name", "slug")
    return {**{name: shown[name] for name in names}, "isCurrent": is_current}


async def switch_organization(call: ToolCall, wanted: WantedOrganization) -> dict[str, Any]:
    """Says what to do, and only for an organization in which the person may act now."""
    found = await call.read(_member_organization, call, wanted.organization_id)
    issuer, is_current = call.tenant.issuer, found.id == call.agent.organization_id
    answer: dict[str, Any] = {
        "organization": {"id": found.id, "slug": found.name, "name": found.display_name or found.name},
        "isCurrent": is_current,
    }
    if is_current:
        return answer
    refresh = {"grant_type": "refresh_token", "organization": found.id}
    silent = {"prompt": "none", "organization": found.id, "resource": address_of(issuer)}
    return {
        **answer,
        "next": "Get an access token for the organization in one of these ways, then use that token.",
        "ways": [
            {"endpoint": f"{issuer}oauth/token", "parameters": refresh},
            {"endpoint": f"{issuer}authorize", "parameters": silent},
        ],
    }


async def create_organization(call: ToolCall, asked: NewOrganization) -> dict[str, Any]:
    """A token that is for one organization makes no other."""
    if call.agent.organization_id is not None:
        raise other_organization()
    lifecycle = lifecycle_for(call.tenant, call.services)
    new = New(
        id=new_id("org"),
        member_id=new_id("mem"),
        team=new_team_ids(),
        slug=asked.slug,
        name=asked.name,
        is_reserved=call.services.settings.is_reserved(asked.slug),
    )
    unit: Callable[..., units.Created] = units.create_organization
    event = call.event("organization_created", "An organization was made")
    fields = call.no_fields("organization")
    await call.rehearse(partial(unit, acting=call.acting, new=new, event=event))
    given: dict[str, Any] = {"name": asked.name, "slug": asked.slug, "logo": None, "metadata": {}}
    values = checked(await call.before("create_organization", {**given, "fields": fields}))
    new = replace(new, **values, is_reserved=call.services.settings.is_reserved(values["slug"]))
    first = {"user_id": call.agent.user_id, "role": [OWNER], "fields": {}}
    await call.before("add_member", first, organization_id=new.id)
    if lifecycle is not None:
        founder = Founder(call.agent.user_id, call.agent.email_verified)
        await make_tenant(lifecycle, call.services, call.tenant, new, founder)
        unit = found_organization
    made = await call.write(unit, call.acting, new, event)
    id, member = made.organization.id, member_shown(made.creator, {}, {})
    shown = organization_as_object(made.organization, {}, {})
    await call.after("create_organization", organization_id=id, organization=shown)
    await call.after("add_member", organization_id=id, member=member)
    return {"organization": shown, "member": member}


def _member_organization(connection: Connection, call: ToolCall, organization_id: str) -> MemberOrganization:
    """Unknown and foreign ones are one answer."""
    try:
        return call.resolved(connection, organization_id)
    except (InvalidRequest, NotAMember):
        raise not_a_member(403) from None
