"""How a tenant's configuration is read: every table of it at once, in one transaction."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, select

from core.crypto.sealing import DataKey, SealBroken
from core.database import Prepared, rows_of_all
from core.tenants import Tenant
from tenant_runtime.agents import resource as agents
from tenant_runtime.configuration.values import (
    ClientConfiguration,
    ClientGrantConfiguration,
    Configuration,
    ConnectionConfiguration,
    PublicClientKey,
    ResourceServerConfiguration,
    RoleConfiguration,
    Secret,
    issuer_of,
)
from tenant_runtime.connections.options import DatabaseOptions, EmailOptions, read_options
from tenant_runtime.documents import Documents, is_document
from tenant_runtime.models import (
    Client,
    ClientGrant,
    ClientKey,
    ClientSecret,
    ConnectionClient,
    ResourceServer,
    Role,
    RolePermission,
    Scope,
    Setting,
    TenantRow,
)
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.oauth.keys.ring import LAST_RETIRED, SIGNING_KEYS, key_ring
from tenant_runtime.schema import SCHEMA
from tenant_runtime.tenant_settings import TenantSettings, effective

_Rows = Mapping[str, list[Any]]


async def configuration(tenant: Tenant) -> Configuration:
    return await tenant.database.snapshot(load_configuration, tenant.data_key)


def load_configuration(connection: Connection, data_key: DataKey) -> Configuration:
    rows = dict(zip(_EVERYTHING, rows_of_all(connection, *_EVERYTHING.values()), strict=True))
    (tenant,), (schema,) = rows["tenant"], rows["schema"]
    servers = _resource_servers(rows)
    layers = _layers(rows)
    settings = effective(layers["control_plane"], layers["tenant"])
    return Configuration(
        version=tenant.config_version,
        schema=schema.version_num,
        applied_digest=tenant.applied_digest,
        clients=MappingProxyType(_clients(rows, data_key, settings)),
        resource_servers=MappingProxyType(servers),
        audiences=MappingProxyType(_audiences(servers)),
        roles=MappingProxyType(_roles(rows)),
        client_grants=MappingProxyType(_client_grants(rows)),
        connections=MappingProxyType({row.id: _connection(row) for row in rows["connections"]}),
        settings=settings,
        documents=Documents(_documents(layers["control_plane"]), _documents(layers["tenant"])),
        keys=key_ring(rows["signing_keys"], rows["last_retired"], data_key),
    )


_TENANT = Prepared(select(TenantRow.__table__))
_CONNECTIONS = Prepared(select(ConnectionRow.__table__).order_by(ConnectionRow.__table__.c.created_at))
_CONNECTION_CLIENTS = Prepared(select(ConnectionClient.__table__))
_CLIENTS = Prepared(select(Client.__table__))
_SECRETS = Prepared(select(ClientSecret.__table__).order_by(ClientSecret.__table__.c.created_at.desc()))
_CLIENT_KEYS = Prepared(select(ClientKey.__table__).order_by(ClientKey.__table__.c.created_at.desc()))
_SERVERS = Prepared(select(ResourceServer.__table__))
_s, _p = Scope.__table__.c, RolePermission.__table__.c
_SCOPES = Prepared(
    select(_s.resource_server_id, _s.value, _s.description, _s.is_platform).order_by(_s.position, _s.value)
)
_ROLES = Prepared(select(Role.__table__))
_ROLE_PERMISSIONS = Prepared(select(_p.role_id, _p.resource_server_id, _p.permission))
_CLIENT_GRANTS = Prepared(select(ClientGrant.__table__))
_SETTINGS = Prepared(select(Setting.__table__))


_EVERYTHING = {
    "tenant": _TENANT,
    "schema": SCHEMA,
    "connections": _CONNECTIONS,
    "connection_clients": _CONNECTION_CLIENTS,
    "clients": _CLIENTS,
    "secrets": _SECRETS,
    "client_keys": _CLIENT_KEYS,
    "servers": _SERVERS,
    "scopes": _SCOPES,
    "roles": _ROLES,
    "role_permissions": _ROLE_PERMISSIONS,
    "client_grants": _CLIENT_GRANTS,
    "settings": _SETTINGS,
    "signing_keys": SIGNING_KEYS,
    "last_retired": LAST_RETIRED,
}


def _connection(row: Row[Any]) -> ConnectionConfiguration:
    known = {"id": row.id, "name": row.name, "strategy": row.strategy, "options": row.options}
    match row.strategy:
        case "auth0":
            return ConnectionConfiguration(**known, database=read_options(DatabaseOptions, row.options))
        case "email":
            return ConnectionConfiguration(**known, codes=read_options(EmailOptions, row.options))
    return ConnectionConfiguration(**known)


def _clients(rows: _Rows, data_key: DataKey, settings: TenantSettings) -> dict[str, ClientConfiguration]:
    """Those of documents only where the tenant takes them: taken back, they are unknown at once."""
    takes_documents = settings.client_registration.client_id_metadata_documents
    clients = [row for row in rows["clients"] if takes_documents or row.origin != "document"]
    signing = {row.client_id for row in clients if row.token_endpoint_auth_method == "client_secret_jwt"}
    secrets: dict[str, list[Secret]] = {}
    for row in rows["secrets"]:
        text = _text_of(row, data_key) if row.client_id in signing else None
        secrets.setdefault(row.client_id, []).append(Secret(row.digest, row.expires_at, text))
    keys: dict[str, list[PublicClientKey]] = {}
    for row in rows["client_keys"]:
        key = PublicClientKey(row.id, row.kid, row.alg, row.jwk, row.expires_at)
        keys.setdefault(row.client_id, []).append(key)
    for_all = {
        row.id for row in rows["connections"] if row.enabled_for_all_clients or row.is_domain_connection
    }
    chosen: dict[str, set[str]] = {}
    for row in rows["connection_clients"]:
        chosen.setdefault(row.client_id, set()).add(row.connection_id)
    return {
        row.client_id: _client(
            row,
            tuple(secrets.get(row.client_id, ())),
            tuple(keys.get(row.client_id, ())),
            for_all | chosen.get(row.client_id, set()),
        )
        for row in clients
    }


def _text_of(row: Row[Any], data_key: DataKey) -> bytes | None:
    """A secret that does not open proves nothing, and is no reason to serve nobody else."""
    try:
        return data_key.open(row.sealed, "client_secrets", "sealed", row.id)
    except SealBroken:
        return None


def _client(
    row: Row[Any],
    secrets: tuple[Secret, ...],
    keys: tuple[PublicClientKey, ...],
    connections: set[str],
) -> ClientConfiguration:
    return ClientConfiguration(
        client_id=row.client_id,
        name=row.name,
        app_type=row.app_type,
        logo_uri=row.logo_uri,
        is_first_party=row.is_first_party,
        token_endpoint_auth_method=row.token_endpoint_auth_method,
        grant_types=frozenset(row.grant_types),
        callbacks=tuple(row.callbacks),
        allowed_logout_urls=tuple(row.allowed_logout_urls),
        web_origins=frozenset(row.web_origins),
        allowed_origins=frozenset(row.allowed_origins),
        initiate_login_uri=row.initiate_login_uri,
        organization_usage=row.organization_usage,
        organization_require_behavior=row.organization_require_behavior,
        require_pkce=row.require_pkce,
        require_proof_of_possession=row.require_proof_of_possession,
        require_pushed_authorization_requests=row.require_pushed_authorization_requests,
        compliance_level=row.compliance_level,
        signed_request_object=row.signed_request_object,
        oidc_logout=row.oidc_logout,
        jwks_uri=row.jwks_uri,
        resource_server_identifier=row.resource_server_identifier,
        origin=row.origin,
        registration=row.registration,
        fresh_until=row.fresh_until,
        jwt_configuration=row.jwt_configuration,
        refresh_token=row.refresh_token,
        secrets=secrets,
        keys=keys,
        connections=frozenset(connections),
    )


def _resource_servers(rows: _Rows) -> dict[str, ResourceServerConfiguration]:
    scopes: dict[str, dict[str, str | None]] = {}
    platform: dict[str, set[str]] = {}
    for server, value, description, is_platform in rows["scopes"]:  # hundreds: by position
        scopes.setdefault(server, {})[value] = description
        if is_platform:
            platform.setdefault(server, set()).add(value)
    return {
        row.id: ResourceServerConfiguration(
            id=row.id,
            identifier=row.identifier,
            name=row.name,
            signing_alg=row.signing_alg,
            token_lifetime=row.token_lifetime,
            token_lifetime_for_web=row.token_lifetime_for_web,
            allow_offline_access=row.allow_offline_access,
            enforce_policies=row.enforce_policies,
            token_dialect=row.token_dialect,
            skip_consent_for_verifiable_first_party_clients=row.skip_consent_for_verifiable_first_party_clients,
            requires_dpop=(row.attributes.get("proof_of_possession") or {}).get("required") is True,
            is_management=row.is_management,
            is_system=row.is_system,
            scopes=MappingProxyType(scopes.get(row.id, {})),
            platform_scopes=frozenset(platform.get(row.id, ())),
        )
        for row in rows["servers"]
    }


def _audiences(
    servers: Mapping[str, ResourceServerConfiguration],
) -> dict[str, ResourceServerConfiguration]:
    """An API that the tenant made before agents had one keeps its address."""
    own = (_agents_api(server) for server in servers.values() if server.is_management)
    return {server.identifier: server for server in (*own, *servers.values())}


def _agents_api(management: ResourceServerConfiguration) -> ResourceServerConfiguration:
    """Signed as the Management API's tokens are. What a person may do is asked of their membership, not of roles."""
    return ResourceServerConfiguration(
        id=agents.ID,
        identifier=agents.address_of(issuer_of(management)),
        name=agents.NAME,
        signing_alg=management.signing_alg,
        token_lifetime=agents.LIFETIME,
        token_lifetime_for_web=agents.LIFETIME,
        allow_offline_access=True,
        enforce_policies=False,
        token_dialect="access_token",
        skip_consent_for_verifiable_first_party_clients=True,
        requires_dpop=False,
        is_management=False,
        is_system=True,
        scopes=agents.SCOPES,
        platform_scopes=frozenset(),
    )


def _roles(rows: _Rows) -> dict[str, RoleConfiguration]:
    permissions: dict[str, dict[str, set[str]]] = {}
    for role, server, permission in rows["role_permissions"]:
        permissions.setdefault(role, {}).setdefault(server, set()).add(permission)
    return {
        row.id: RoleConfiguration(
            id=row.id,
            name=row.name,
            is_system=row.is_system,
            permissions=MappingProxyType({k: frozenset(v) for k, v in permissions.get(row.id, {}).items()}),
        )
        for row in rows["roles"]
    }


def _client_grants(rows: _Rows) -> dict[tuple[str, str], ClientGrantConfiguration]:
    return {
        (row.client_id, row.audience): ClientGrantConfiguration(
            id=row.id,
            client_id=row.client_id,
            audience=row.audience,
            scope=tuple(row.scope),
            organization_usage=row.organization_usage,
            allow_any_organization=row.allow_any_organization,
        )
        for row in rows["client_grants"]
    }


def _layers(rows: _Rows) -> dict[str, dict[str, Any]]:
    layers: dict[str, dict[str, Any]] = {"control_plane": {}, "tenant": {}}
    for row in rows["settings"]:
        layers[row.source][row.key] = row.value
    return layers


def _documents(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if is_document(key, value)}
