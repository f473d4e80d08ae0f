"""OAuth clients, their secrets and keys, and which APIs they may call for themselves."""

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonList, JsonObject, Millis, TenantBase, owned_by


class Client(TenantBase):
    """A client. `attributes` keeps what Auth0's clients write and this server does not act on, as it was written.

    `origin`: `operator` (the Management API), `registration` (RFC 7591) or `document` (a client-id metadata document,
    kept until `fresh_until`). `registration` is what such a client says of itself to people: `client_uri`,
    `policy_uri`, `tos_uri`, `contacts`, `software_id`, ...; `registration_digest` is of its registration access token.
    """

    __tablename__ = "clients"
    __table_args__ = (Index("ix_clients_created", "created_at", "client_id"),)

    client_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str | None]
    app_type: Mapped[str]  # regular_web, spa, native, non_interactive
    logo_uri: Mapped[str | None]
    is_first_party: Mapped[bool] = mapped_column(default=True)
    is_global: Mapped[bool] = mapped_column(default=False)
    token_endpoint_auth_method: Mapped[str]  # client_secret_basic, ..._post, ..._jwt, private_key_jwt, none
    jwks_uri: Mapped[str | None]  # where the keys of `private_key_jwt` are, unless they are in `client_keys`
    resource_server_identifier: Mapped[
        str | None
    ]  # the API that this client is (introspection, token exchange)
    compliance_level: Mapped[str | None]  # None, or fapi2_sp_pkj_dpop
    grant_types: Mapped[JsonList]
    callbacks: Mapped[JsonList]
    allowed_logout_urls: Mapped[JsonList]
    web_origins: Mapped[JsonList]
    allowed_origins: Mapped[JsonList]
    initiate_login_uri: Mapped[str | None]
    organization_usage: Mapped[str] = mapped_column(default="allow")  # deny, allow, require
    organization_require_behavior: Mapped[str] = mapped_column(default="no_prompt")
    require_pkce: Mapped[bool] = mapped_column(default=True)
    require_proof_of_possession: Mapped[bool] = mapped_column(default=False)
    require_pushed_authorization_requests: Mapped[bool] = mapped_column(default=False)
    signed_request_object: Mapped[JsonObject]  # required
    oidc_logout: Mapped[JsonObject]  # backchannel_logout_urls, backchannel_logout_initiators
    jwt_configuration: Mapped[JsonObject]  # alg, lifetime_in_seconds
    refresh_token: Mapped[JsonObject]  # rotation_type, leeway, token_lifetime, idle_token_lifetime, ...
    client_metadata: Mapped[JsonObject]
    attributes: Mapped[JsonObject]
    origin: Mapped[str] = mapped_column(default="operator")
    registration: Mapped[JsonObject]
    registration_digest: Mapped[str | None]
    fresh_until: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]


class ClientSecret(TenantBase):
    """A secret of a client: digest to compare, sealed to be read by who may. Two may be active while rotating."""

    __tablename__ = "client_secrets"
    __table_args__ = (Index("ix_client_secrets_client_id", "client_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    digest: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Millis]
    expires_at: Mapped[int | None] = mapped_column(BigInteger)


class ClientKey(TenantBase):
    """A public key by which a client proves itself (`private_key_jwt`) and signs its requests (RFC 9101)."""

    __tablename__ = "client_keys"
    __table_args__ = (UniqueConstraint("client_id", "kid"), {"sqlite_with_rowid": False})

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    kid: Mapped[str]
    name: Mapped[str | None]
    alg: Mapped[str | None]  # None: every algorithm that fits the key
    jwk: Mapped[JsonObject]
    created_at: Mapped[Millis]
    expires_at: Mapped[int | None] = mapped_column(BigInteger)


class ClientGrant(TenantBase):
    """What a client may ask of one API in its own name (client credentials)."""

    __tablename__ = "client_grants"
    __table_args__ = (
        UniqueConstraint("client_id", "audience"),
        Index("ix_client_grants_created", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(owned_by("clients.client_id"))
    audience: Mapped[str] = mapped_column(owned_by("resource_servers.identifier"))
    scope: Mapped[JsonList]
    organization_usage: Mapped[str | None]  # deny, allow, require
    allow_any_organization: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Millis]
    updated_at: Mapped[Millis]
