"""What a tenant says about its organizations as a whole (`specs/organization-api.md` C.4), as one document.

Names are those of the reference's options, as this server's settings are spelled. `None`: no limit.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tenant_runtime.documents import Document

Limit = Annotated[int, Meta(ge=0, le=1_000_000)]
FieldType = Literal["string", "number", "boolean"]
ClaimAlias = Literal["organization_id", "organizationId", "org_role", "role"]
"""Names that applications know from elsewhere. No other claim is ever written by a setting."""


class AdditionalField(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A member that bodies may have beside the known ones. `input`: whether callers set it; `returned`: whether it is
    answered."""

    type: FieldType = "string"
    required: bool = False
    input: bool = True
    returned: bool = True


Fields = Mapping[Annotated[str, Meta(pattern=r"^[a-z][a-zA-Z0-9]{0,62}$")], AdditionalField]


class TeamOptions(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = True
    maximum_teams: Limit | None = None
    maximum_members_per_team: Limit | None = None
    allow_removing_all_teams: bool = False
    default_team: bool = True


class DynamicRoles(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = True
    maximum_roles_per_organization: Limit | None = None


class OrganizationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hours for lifetimes. `statements` are resources and actions beside the built-in ones, `roles` what the built-in
    roles may of them; `additional_fields` by entity; `default_tenant_roles` are names of the tenant's roles that
    everybody holds in an organization who was invited to it."""

    allow_user_to_create_organization: bool = True
    creators_need_verified_address: bool = False
    organization_limit: Limit | None = None
    membership_limit: Limit | None = 100
    invitation_limit: Limit | None = 100
    invitation_expires_in: Annotated[float, Meta(gt=0, le=8760)] = 48
    cancel_pending_invitations_on_re_invite: bool = False
    require_email_verification_on_invitation: bool = True
    disable_organization_deletion: bool = False
    allow_email_change: bool = False
    allow_user_deletion: bool = False
    teams: TeamOptions = TeamOptions()
    dynamic_access_control: DynamicRoles = DynamicRoles()
    statements: Mapping[str, tuple[str, ...]] = {}
    roles: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
    additional_fields: Mapping[Literal["organization", "member", "invitation", "team", "role"], Fields] = {}
    default_tenant_roles: tuple[str, ...] = ()
    claim_aliases: Mapping[ClaimAlias, Literal["org_id", "org_name", "org_role"]] = {}
    organization_role_claim: bool = False
    show_organization_before_login: bool = False

    def fields(self, entity: str) -> Mapping[str, AdditionalField]:
        known: Mapping[Any, Fields] = self.additional_fields
        return known.get(entity, {})


OPTIONS = Document("organizations:options", OrganizationOptions)
