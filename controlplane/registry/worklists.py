"""Tenants in batches by id, for what goes through all of them."""

from sqlalchemy import Connection, select

from controlplane.models import RegistryBase
from controlplane.registry.nodes import reached_from
from controlplane.registry.tenants import SERVING, RegisteredTenant, registered

_TENANTS = RegistryBase.metadata.tables["tenants"]


def tenants_after(connection: Connection, tenant_id: str, node: str, limit: int) -> list[RegisteredTenant]:
    """Child tenants that serve, and whose database is reached from this node."""
    statement = (
        select(_TENANTS)
        .where(
            _TENANTS.c.id > tenant_id,
            _TENANTS.c.state.in_(SERVING),
            _TENANTS.c.is_control_plane.is_(False),
            reached_from(node),
        )
        .order_by(_TENANTS.c.id)
        .limit(limit)
    )
    return [registered(row) for row in connection.execute(statement)]
