"""Writing to tenant one as an operator would, and looking at what a tenant holds."""

import json
from typing import Any

from sqlalchemy import Connection, text

from core.tenants import Tenant
from provisioning.platform import Platform
from tests.provisioning.installations import sql


async def on_tenant_one(platform: Platform, statement: str, **values: Any) -> None:
    one = await platform.directory.control_plane()
    await one.database.write(sql(statement, **values))


async def add_server(
    platform: Platform, name: str, *scopes: str, labels: list[str] | None = None, metadata: Any = None
) -> str:
    id = f"rs_{name}"
    values = {"id": id, "identifier": f"https://{name}.example", "name": name.title()}

    def unit(connection: Connection) -> None:
        connection.execute(
            text(
                "INSERT INTO resource_servers (id, identifier, name, signing_alg, token_lifetime,"
                " token_lifetime_for_web, allow_offline_access, enforce_policies, token_dialect,"
                " skip_consent_for_verifiable_first_party_clients, metadata, attributes, labels, is_management,"
                " is_system, created_at, updated_at) VALUES (:id, :identifier, :name, 'RS256', 3600, 600, 1, 1,"
                " 'access_token_authz', 0, :metadata, '{\"extra\": [1, null]}', :labels, 0, 0, 1, 1)"
            ),
            {**values, "metadata": json.dumps(metadata or {}), "labels": json.dumps(labels or [])},
        )
        _scopes(connection, id, scopes)

    one = await platform.directory.control_plane()
    await one.database.write(unit)
    return id


def _scopes(connection: Connection, id: str, scopes: tuple[str, ...]) -> None:
    for position, scope in enumerate(scopes):
        connection.execute(
            text(
                "INSERT INTO scopes (resource_server_id, value, description, position, is_platform)"
                " VALUES (:id, :value, :description, :position, 0)"
            ),
            {"id": id, "value": scope, "description": f"May {scope}", "position": position},
        )


async def add_role(
    platform: Platform,
    id: str,
    name: str,
    *permissions: tuple[str, str],
    labels: list[str] | None = None,
    metadata: Any = None,
) -> str:
    def unit(connection: Connection) -> None:
        connection.execute(
            text(
                "INSERT INTO roles (id, name, description, metadata, labels, is_system, created_at, updated_at)"
                " VALUES (:id, :name, 'A role', :metadata, :labels, 0, 1, 1)"
            ),
            {
                "id": id,
                "name": name,
                "metadata": json.dumps(metadata or {}),
                "labels": json.dumps(labels or []),
            },
        )
        for server, permission in permissions:
            connection.execute(
                text("INSERT INTO role_permissions VALUES (:id, :server, :permission)"),
                {"id": id, "server": server, "permission": permission},
            )

    one = await platform.directory.control_plane()
    await one.database.write(unit)
    return id


async def tenant_of(platform: Platform, tenant_id: str = "acme") -> Tenant:
    tenant = await platform.directory.by_id(tenant_id)
    assert tenant is not None
    return tenant


async def rows(tenant: Tenant, statement: str, **values: Any) -> list[Any]:
    return await tenant.database.read(sql(statement, **values))


async def roles_of(tenant: Tenant) -> dict[str, tuple[str, int]]:
    return {
        id: (name, system) for id, name, system in await rows(tenant, "SELECT id, name, is_system FROM roles")
    }


async def permissions_of(tenant: Tenant, role_id: str) -> set[tuple[str, str]]:
    statement = "SELECT resource_server_id, permission FROM role_permissions WHERE role_id = :id"
    return set(await rows(tenant, statement, id=role_id))


async def management_of(tenant: Tenant) -> str:
    return str((await rows(tenant, "SELECT id FROM resource_servers WHERE is_management"))[0][0])
