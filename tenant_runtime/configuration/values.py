"""What a tenant's configuration is made of: values that nothing changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenant_runtime.agents import resource as agents
from tenant_runtime.connections.options import DatabaseOptions, EmailOptions
from tenant_runtime.documents import Documents
from tenant_runtime.oauth.keys.ring import KeyRing
from tenant_runtime.organizations.rules import OrganizationRules
from tenant_runtime.schema import WITH_ORGANIZATION_API
from tenant_runtime.tenant_settings import TenantSettings

FAPI = "fapi2_sp_pkj_dpop"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Secret:
    digest: str
    expires_at: int | None
    text: bytes | None = field(default=None, repr=False)
    """Only of a client that signs with it (`client_secret_jwt`)."""


@dataclass(frozen=True, slots=True)
class PublicClientKey:
    id: str
    kid: str
    alg: str | None
    jwk: Mapping[str, Any]
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfiguration:
    client_id: str
    name: str
    app_type: str
    logo_uri: str | None
    is_first_party: bool
    token_endpoint_auth_method: str
    grant_types: frozenset[str]
    callbacks: tuple[str, ...]
    allowed_logout_urls: tuple[str, ...]
    web_origins: frozenset[str]
    allowed_origins: frozenset[str]
    initiate_login_uri: str | None
    organization_usage: str
    organization_require_behavior: str
    require_pkce: bool
    require_proof_of_possession: bool
    require_pushed_authorization_requests: bool
    compliance_level: str | None
    signed_request_object: Mapping[str, Any]
    oidc_logout: Mapping[str, Any]
    jwks_uri: str | None
    resource_server_identifier: str | None  # the API that this client is
    origin: str  # operator, registration, document
    registration: Mapping[str, Any]
    fresh_until: int | None
    jwt_configuration: Mapping[str, Any]
    refresh_token: Mapping[str, Any]
    secrets: tuple[Secret, ...]
    keys: tuple[PublicClientKey, ...]
    connections: frozenset[str]  # ids of the connections it may use

    @property
    def is_public(self) -> bool:
        return self.token_endpoint_auth_method == "none"

    @property
    def is_vouched_for(self) -> bool:
        """Whether somebody of the tenant made it, or made it one of the tenant's own. What a document says of a client
        may be another thing tomorrow."""
        return self.origin == "operator" or (self.origin == "registration" and self.is_first_party)

    @property
    def is_for_devices(self) -> bool:
        return DEVICE_CODE in self.grant_types

    @property
    def is_fapi(self) -> bool:
        """FAPI 2.0 Security Profile with private_key_jwt and DPoP."""
        return self.compliance_level == FAPI

    @property
    def id_token_signing_alg(self) -> str | None:
        """FAPI 2.0 Security Profile section 5.4.1 leaves RS256 out; None: the tenant's default."""
        named = self.jwt_configuration.get("alg")
        return "PS256" if self.is_fapi and named not in ("PS256", "ES256", "EdDSA") else named

    @property
    def requires_dpop(self) -> bool:
        return self.require_proof_of_possession or self.is_fapi

    @property
    def requires_pushed_requests(self) -> bool:
        return self.require_pushed_authorization_requests or self.is_fapi


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServerConfiguration:
    id: str
    identifier: str
    name: str
    signing_alg: str
    token_lifetime: int
    token_lifetime_for_web: int
    allow_offline_access: bool
    enforce_policies: bool
    token_dialect: str
    skip_consent_for_verifiable_first_party_clients: bool
    requires_dpop: bool  # its tokens are bound to a key, whoever asks
    is_management: bool
    is_system: bool
    scopes: Mapping[str, str | None]  # value -> description, in the API's own order
    platform_scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleConfiguration:
    id: str
    name: str
    is_system: bool
    permissions: Mapping[str, frozenset[str]]  # resource server id -> scope values


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientGrantConfiguration:
    id: str
    client_id: str
    audience: str
    scope: tuple[str, ...]
    organization_usage: str | None
    allow_any_organization: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionConfiguration:
    id: str
    name: str
    strategy: str
    options: Mapping[str, Any]
    database: DatabaseOptions = field(default=DatabaseOptions(), repr=False)  # of a database of users
    codes: EmailOptions = field(default=EmailOptions(), repr=False)  # of codes by mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    version: int
    schema: str  # of the tenant's database
    applied_digest: str | None
    clients: Mapping[str, ClientConfiguration]
    resource_servers: Mapping[str, ResourceServerConfiguration]  # by id
    audiences: Mapping[str, ResourceServerConfiguration]  # by identifier
    roles: Mapping[str, RoleConfiguration]
    client_grants: Mapping[tuple[str, str], ClientGrantConfiguration]  # by (client_id, audience)
    connections: Mapping[str, ConnectionConfiguration]  # by id
    settings: TenantSettings
    documents: Documents
    keys: KeyRing = field(repr=False)

    @property
    def management(self) -> ResourceServerConfiguration:
        """The tenant's own Management API."""
        return next(server for server in self.resource_servers.values() if server.is_management)

    @property
    def agents(self) -> ResourceServerConfiguration | None:
        """What agents call; None where an API of the tenant's own has that address."""
        found = self.audiences[agents.address_of(issuer_of(self.management))]
        return found if found.id == agents.ID else None

    @property
    def organization_rules(self) -> OrganizationRules:
        return OrganizationRules(
            names_allowed=self.settings.allow_organization_name_in_authentication_api,
            has_settings=self.has_organization_api,
        )

    @property
    def has_organization_api(self) -> bool:
        """False only in a database that waits for its migration."""
        return self.schema >= WITH_ORGANIZATION_API

    def takes_signups(self, connection: ConnectionConfiguration) -> bool:
        """Whether people may make accounts of this connection for themselves."""
        closed = connection.database.disable_signup or connection.codes.disable_signup
        return self.settings.signup_enabled and not closed

    def takes_signups_by_page(self, connection: ConnectionConfiguration) -> bool:
        """The page asks for no user name."""
        return self.takes_signups(connection) and not connection.database.requires_username

    def database_connection(self) -> ConnectionConfiguration | None:
        """The tenant's own database of users: where sign-up and passwords live."""
        own = [c for c in self.connections.values() if c.strategy == "auth0"]
        return min(own, key=lambda c: c.id, default=None)


def issuer_of(management: ResourceServerConfiguration) -> str:
    return management.identifier.removesuffix("api/v2/")
