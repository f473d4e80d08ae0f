"""Hosts of tenants beside `<id>.<base domain>`: custom domains, of which only verified ones resolve."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from controlplane.models import RegistryBase
from controlplane.registry.tenants import RegisteredTenant, find_tenant

_HOSTS = RegistryBase.metadata.tables["hosts"]

_MATCH = select(_HOSTS.c.tenant_id).where(
    _HOSTS.c.host == bindparam("host"), _HOSTS.c.verified_at.is_not(None)
)
_OF_TENANT = select(_HOSTS.c.host, _HOSTS.c.origin, _HOSTS.c.is_primary).where(
    _HOSTS.c.tenant_id == bindparam("tenant_id"), _HOSTS.c.verified_at.is_not(None)
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tenant with its verified custom hosts and their stored origins. `primary` is one of these; None: its own."""

    tenant: RegisteredTenant
    origins: tuple[tuple[str, str], ...]
    primary: str | None = None

    def origin_of(self, host: str) -> str | None:
        return dict(self.origins).get(host)


def custom_host(connection: Connection, host: str) -> Resolved | None:
    tenant_id = connection.execute(_MATCH, {"host": host}).scalar_one_or_none()
    return resolve(connection, tenant_id) if tenant_id is not None else None


def resolve(connection: Connection, tenant_id: str) -> Resolved | None:
    tenant = find_tenant(connection, tenant_id)
    if tenant is None:
        return None
    rows = connection.execute(_OF_TENANT, {"tenant_id": tenant_id}).all()
    primary = next((row.origin for row in rows if row.is_primary), None)
    return Resolved(tenant, tuple((row.host, row.origin) for row in rows), primary)


def hosts_of_many(connection: Connection, tenant_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """By tenant; one without a custom host has no entry."""
    statement = select(_HOSTS.c.tenant_id, _HOSTS.c.host, _HOSTS.c.origin)
    statement = statement.where(_HOSTS.c.tenant_id.in_(tenant_ids), _HOSTS.c.verified_at.is_not(None))
    found: dict[str, list[tuple[str, str]]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.tenant_id, []).append((row.host, row.origin))
    return found


def hosts_of(connection: Connection, tenant_id: str) -> tuple[tuple[str, str], ...]:
    rows = connection.execute(_OF_TENANT, {"tenant_id": tenant_id})
    return tuple((row.host, row.origin) for row in rows)
