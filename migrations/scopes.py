"""Permissions that a revision brings to the Management API of a database that has been made already."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa


def add_permissions(connection: sa.Connection, permissions: Mapping[str, Sequence[str]]) -> None:
    """Verbs by resource; also into the roles that a new installation makes, where they still are as they were made."""
    for resource, verbs in permissions.items():
        for verb in verbs:
            values = {
                "value": f"{verb}:{resource}",
                "description": f"{verb.capitalize()} {resource.replace('_', ' ')}",
            }
            connection.execute(_ADD_SCOPE, values)
            for role in (*_WHO_WRITE, *(_WHO_READ if verb == "read" else ())):
                connection.execute(_ADD_TO_ROLE, {"value": values["value"], "role": role})


_WHO_WRITE = ("Tenant Admin", "Platform Admin")
_WHO_READ = ("Tenant Member", "Platform Support")
_ADD_SCOPE = sa.text(
    "INSERT INTO scopes (resource_server_id, value, description, position, is_platform)"
    " SELECT id, :value, :description, 0, false FROM resource_servers WHERE is_management"
    " ON CONFLICT DO NOTHING"
)
_ADD_TO_ROLE = sa.text(
    "INSERT INTO role_permissions (role_id, resource_server_id, permission)"
    " SELECT roles.id, resource_servers.id, :value FROM roles, resource_servers"
    " WHERE resource_servers.is_management AND roles.name = :role AND NOT roles.is_system"
    " AND EXISTS (SELECT 1 FROM role_permissions held WHERE held.role_id = roles.id"
    " AND held.resource_server_id = resource_servers.id AND held.permission = 'read:custom_domains')"
    " ON CONFLICT DO NOTHING"
)
