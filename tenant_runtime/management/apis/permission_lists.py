"""Permissions as bodies and lists name them: a value, on an API that is named by its identifier."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import Connection, Row, bindparam, select

from core.errors import InvalidInput
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.editing import Body, Id
from tenant_runtime.models import ResourceServer, Scope

_server, _scope = ResourceServer.__table__, Scope.__table__
_KNOWN = (
    select(_server.c.identifier, _server.c.id, _server.c.is_management, _scope.c.value)
    .join(_scope, _scope.c.resource_server_id == _server.c.id)
    .where(_server.c.identifier.in_(bindparam("identifiers", expanding=True)))
)


class Permission(Body):
    resource_server_identifier: Annotated[str, Meta(min_length=1, max_length=600)]
    permission_name: Id


class PermissionsBody(Body):
    permissions: Annotated[list[Permission], Meta(min_length=1, max_length=1000)]


def resolved(
    connection: Connection, asked: Sequence[Permission], actor: Actor | None
) -> list[tuple[str, str]]:
    """(id of the API, value) of each. With an actor, those on the Management API must be the actor's own."""
    identifiers = {item.resource_server_identifier for item in asked}
    known = {
        (row.identifier, row.value): row
        for row in connection.execute(_KNOWN, {"identifiers": sorted(identifiers)})
    }
    rows = []
    for item in asked:
        row = known.get((item.resource_server_identifier, item.permission_name))
        if row is None:
            raise InvalidInput(
                f"There is no permission {item.permission_name} on the API {item.resource_server_identifier}."[
                    :400
                ]
            )
        rows.append(row)
    if actor is not None:
        escalation.check_permissions(actor, (row.value for row in rows if row.is_management))
    return list(dict.fromkeys((row.id, row.value) for row in rows))


def show_permission(row: Row[Any]) -> dict[str, Any]:
    return {
        "resource_server_identifier": row.identifier,
        "permission_name": row.permission,
        "resource_server_name": row.name,
        "description": row.description,
    }
