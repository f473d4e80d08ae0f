"""`/api/v2/tenants/organizations`: what the tenant says of acting in its organizations (`organizations.options`).

Members are taken whole, but for `teams` and `dynamic_access_control`, of which a PATCH changes what it names. What
could not be acted by is refused here: a role that permits what is nowhere declared, a field that hides a known one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar.params import JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection

from core.errors import InvalidInput
from core.tenants import Tenant
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.documents import change, read, shape, show
from tenant_runtime.management.editing import Body, Maybe, Name, named
from tenant_runtime.management.routing import changing, reading
from tenant_runtime.organizations.access import resources
from tenant_runtime.organizations.options import (
    OPTIONS,
    AdditionalField,
    ClaimAlias,
    Limit,
    OrganizationOptions,
)
from tenant_runtime.organizations.roles.names import normalized

NESTED = ("teams", "dynamic_access_control")
Word = Annotated[str, Meta(pattern=r"^[a-z][a-zA-Z0-9_-]{0,62}\Z")]
Actions = Annotated[list[Word], Meta(min_length=1, max_length=100)]
Pairs = Annotated[dict[Word, Actions], Meta(max_length=100)]
FieldName = Annotated[str, Meta(pattern=r"^[a-z][a-zA-Z0-9]{0,62}\Z")]
Fields = Annotated[dict[FieldName, AdditionalField], Meta(max_length=50)]
Entity = Literal["organization", "member", "invitation", "team", "role"]
KNOWN_MEMBERS = frozenset(
    {
        "additionalFields",
        "createdAt",
        "data",
        "email",
        "expiresAt",
        "id",
        "inviterEmail",
        "inviterId",
        "invitations",
        "keepCurrentActiveOrganization",
        "logo",
        "memberId",
        "members",
        "metadata",
        "name",
        "organizationId",
        "organizationName",
        "organizationSlug",
        "permission",
        "resend",
        "role",
        "roleId",
        "roleName",
        "slug",
        "status",
        "teamId",
        "teams",
        "updatedAt",
        "user",
        "userId",
    }
)
"""Of bodies and answers: no field that a tenant adds takes the place of one of them."""


class TeamsPatch(Body):
    enabled: Maybe[bool] = UNSET
    maximum_teams: Maybe[Limit | None] = UNSET
    maximum_members_per_team: Maybe[Limit | None] = UNSET
    allow_removing_all_teams: Maybe[bool] = UNSET
    default_team: Maybe[bool] = UNSET


class DynamicRolesPatch(Body):
    enabled: Maybe[bool] = UNSET
    maximum_roles_per_organization: Maybe[Limit | None] = UNSET


class OrganizationOptionsPatch(Body):
    """`null` returns a member to what is inherited."""

    allow_user_to_create_organization: Maybe[bool | None] = UNSET
    creators_need_verified_address: Maybe[bool | None] = UNSET
    organization_limit: Maybe[Limit | None] = UNSET
    membership_limit: Maybe[Limit | None] = UNSET
    invitation_limit: Maybe[Limit | None] = UNSET
    invitation_expires_in: Maybe[Annotated[float, Meta(gt=0, le=8760)] | None] = UNSET
    cancel_pending_invitations_on_re_invite: Maybe[bool | None] = UNSET
    require_email_verification_on_invitation: Maybe[bool | None] = UNSET
    disable_organization_deletion: Maybe[bool | None] = UNSET
    allow_email_change: Maybe[bool | None] = UNSET
    allow_user_deletion: Maybe[bool | None] = UNSET
    teams: Maybe[TeamsPatch | None] = UNSET
    dynamic_access_control: Maybe[DynamicRolesPatch | None] = UNSET
    statements: Maybe[Pairs | None] = UNSET
    roles: Maybe[Annotated[dict[Name, Pairs], Meta(max_length=50)] | None] = UNSET
    additional_fields: Maybe[dict[Entity, Fields] | None] = UNSET
    default_tenant_roles: Maybe[Annotated[list[Name], Meta(max_length=50)] | None] = UNSET
    claim_aliases: Maybe[dict[ClaimAlias, Literal["org_id", "org_name", "org_role"]] | None] = UNSET
    organization_role_claim: Maybe[bool | None] = UNSET
    show_organization_before_login: Maybe[bool | None] = UNSET


@reading("/tenants/organizations", "read:tenant_settings")
async def get_organization_options(call: CallOf) -> dict[str, Any]:
    return await show(call, OPTIONS)


@changing("/tenants/organizations", "update:tenant_settings")
async def update_organization_options(
    call: CallOf, data: JSONBody[OrganizationOptionsPatch]
) -> dict[str, Any]:
    members = _named(data)
    known = {role.name for role in (await call.configuration()).roles.values()}
    if unknown := set(members.get("default_tenant_roles") or ()) - known:
        raise InvalidInput(
            f"`default_tenant_roles` names no role of this tenant: {', '.join(sorted(unknown))}."
        )
    _check_fields(members.get("additional_fields") or {})
    answer: dict[str, Any] = await call.write(_change, call.tenant, members)
    return answer


handlers = [get_organization_options, update_organization_options]


def _named(data: OrganizationOptionsPatch) -> dict[str, Any]:
    """As they are stored."""
    members = named(data)
    if members.get("roles"):
        members["roles"] = {_role_name(name): pairs for name, pairs in members["roles"].items()}
    return members


def _role_name(name: str) -> str:
    wanted = normalized(name)
    if not wanted or "," in wanted or not wanted.isprintable():
        raise InvalidInput(f"`roles` has a name that is none: {name!r}.")
    return wanted


def _check_fields(entities: Mapping[str, Mapping[str, Any]]) -> None:
    hidden = {name for fields in entities.values() for name in fields} & KNOWN_MEMBERS
    if hidden:
        raise InvalidInput(f"`additional_fields` would hide: {', '.join(sorted(hidden))}.")


def _change(connection: Connection, tenant: Tenant, members: Mapping[str, Any]) -> Written:
    present = shape(read(connection, OPTIONS), OPTIONS)
    wanted = dict(members)
    for name in NESTED:
        if wanted.get(name) is not None:
            wanted[name] = {**present[name], **wanted[name]}
    written = change(connection, tenant, OPTIONS, wanted)
    _check_statements(written.after)
    return written


def _check_statements(after: Any) -> None:
    """All together: a resource that goes is one that no role permits any more."""
    options = msgspec.convert(dict(after), OrganizationOptions)
    there = resources(options)
    for role, pairs in options.roles.items():
        for resource, actions in pairs.items():
            if not there.get(resource, frozenset()).issuperset(actions):
                raise InvalidInput(f"`roles.{role}.{resource}` permits what `statements` does not have.")
