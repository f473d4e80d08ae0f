"""The schema of a tenant's database: one schema, one history (`migrations/tenant`), foreign keys across features.

Times are integer milliseconds since the epoch, UTC. Secrets are stored as SHA-256 digests, or sealed with the
tenant's data key where they must be read again. Statements are SQLAlchemy Core over `Model.__table__`; what
protects system entities and raises `config_version` is in `triggers`.
"""

from tenant_runtime.models.access import ResourceServer, Role, RolePermission, Scope, UserPermission, UserRole
from tenant_runtime.models.attempts import AddressUse, LoginAttempts
from tenant_runtime.models.base import TenantBase
from tenant_runtime.models.clients import Client, ClientGrant, ClientKey, ClientSecret
from tenant_runtime.models.connections import Connection, ConnectionClient
from tenant_runtime.models.deliveries import Delivery
from tenant_runtime.models.grants import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    DeviceCode,
    Grant,
    PushedRequest,
    RefreshFamily,
    RefreshToken,
    RevokedFamily,
    UsedId,
)
from tenant_runtime.models.invitations import Invitation, JoinRequest
from tenant_runtime.models.jobs import Job, JobPart
from tenant_runtime.models.licenses import Product, Subscription
from tenant_runtime.models.logs import IdempotencyKey, LogEvent
from tenant_runtime.models.organizations import (
    AdditionalFields,
    Membership,
    MembershipOrganizationRole,
    MembershipRole,
    Organization,
    OrganizationClientGrant,
    OrganizationConnection,
    OrganizationDomain,
    OrganizationSetting,
)
from tenant_runtime.models.sessions import FamilyLogin, Session, SessionClient, SessionContext
from tenant_runtime.models.streams import Change, EventStream, LogStream
from tenant_runtime.models.teams import OrganizationRole, Team, TeamMember
from tenant_runtime.models.tenant import Setting, SigningKeyRow, TenantRow
from tenant_runtime.models.tickets import LoginCode, Ticket
from tenant_runtime.models.users import Identity, Password, User

__all__ = [
    "AccessToken",
    "AdditionalFields",
    "AddressUse",
    "AuthorizationCode",
    "AuthorizationRequest",
    "Change",
    "Client",
    "ClientGrant",
    "ClientKey",
    "ClientSecret",
    "Connection",
    "ConnectionClient",
    "Delivery",
    "DeviceCode",
    "EventStream",
    "FamilyLogin",
    "Grant",
    "IdempotencyKey",
    "Identity",
    "Invitation",
    "Job",
    "JobPart",
    "JoinRequest",
    "LogEvent",
    "LogStream",
    "LoginAttempts",
    "LoginCode",
    "Membership",
    "MembershipOrganizationRole",
    "MembershipRole",
    "Organization",
    "OrganizationClientGrant",
    "OrganizationConnection",
    "OrganizationDomain",
    "OrganizationRole",
    "OrganizationSetting",
    "Password",
    "Product",
    "PushedRequest",
    "RefreshFamily",
    "RefreshToken",
    "ResourceServer",
    "RevokedFamily",
    "Role",
    "RolePermission",
    "Scope",
    "Session",
    "SessionClient",
    "SessionContext",
    "Setting",
    "SigningKeyRow",
    "Subscription",
    "Team",
    "TeamMember",
    "TenantBase",
    "TenantRow",
    "Ticket",
    "UsedId",
    "User",
    "UserPermission",
    "UserRole",
]
