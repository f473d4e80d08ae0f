"""Tenants and their place in the ledger as the platform API answers them."""

from typing import Any

from sqlalchemy import Connection

from controlplane.registry.hosts import hosts_of, hosts_of_many
from controlplane.registry.ledger import SyncRecord, Wanted, sync_record, sync_records
from controlplane.registry.tenants import RegisteredTenant, get_tenant
from controlplane.services import PlatformServices
from core.clock import to_iso
from core.settings import Settings

Described = tuple[RegisteredTenant, tuple[str, ...], SyncRecord | None]
"""A tenant, its custom hosts, its row of the ledger."""

_TIMES = ("created_at", "updated_at", "suspended_at", "deleted_at", "purge_after")


def describe(connection: Connection, tenant_id: str) -> Described:
    tenant = get_tenant(connection, tenant_id)
    hosts = tuple(host for host, _ in hosts_of(connection, tenant_id))
    return tenant, hosts, sync_record(connection, tenant_id)


def describe_all(connection: Connection, tenants: list[RegisteredTenant]) -> list[Described]:
    """Three queries for a page, however long it is."""
    ids = [tenant.id for tenant in tenants]
    records, hosts = sync_records(connection, ids), hosts_of_many(connection, ids)
    return [
        (tenant, tuple(host for host, _ in hosts.get(tenant.id, ())), records.get(tenant.id))
        for tenant in tenants
    ]


async def described(services: PlatformServices, tenant_id: str) -> dict[str, Any]:
    wanted = await services.wanted()
    return tenant_wire(services.settings, *await services.registry.read(describe, tenant_id), wanted)


def tenant_wire(
    settings: Settings,
    tenant: RegisteredTenant,
    hosts: tuple[str, ...],
    sync: SyncRecord | None,
    wanted: Wanted | None,
) -> dict[str, Any]:
    own = settings.control_plane_host if tenant.is_control_plane else settings.tenant_host(tenant.id)
    issuer = settings.control_plane_issuer if tenant.is_control_plane else settings.tenant_issuer(tenant.id)
    return {
        "id": tenant.id,
        "display_name": tenant.display_name,
        "friendly_name": tenant.display_name,
        "state": tenant.state,
        "issuer": issuer,
        "hosts": [own, *hosts],
        "backend": tenant.backend,
        "region": tenant.region,
        "labels": list(tenant.labels),
        "limits": dict(tenant.limits),
        "organization_id": tenant.organization_id,
        "schema_version": tenant.schema_version,
        "sync": None if tenant.is_control_plane else sync_wire(sync, wanted),
        "error": tenant.error,
        "is_control_plane": tenant.is_control_plane,
        **{name: to_iso(value) if (value := getattr(tenant, name)) is not None else None for name in _TIMES},
    }


def sync_wire(sync: SyncRecord | None, wanted: Wanted | None) -> dict[str, Any] | None:
    """How far one tenant follows. `lag` counts versions of tenant one; null when either side is not known."""
    if sync is None:
        return None
    return {
        "wanted": wanted[1] if wanted is not None else None,
        "applied": sync.applied_version,
        "applied_at": to_iso(sync.applied_at) if sync.applied_at is not None else None,
        "lag": _lag(sync, wanted),
        "converged": wanted is not None and not sync.lags(wanted),
        "attempts": sync.attempts,
        "last_error": sync.last_error,
        "conflicts": list(sync.conflicts),
        "dangling": list(sync.dangling),
    }


def _lag(sync: SyncRecord, wanted: Wanted | None) -> int | None:
    if wanted is None or sync.applied_version is None or sync.applied_incarnation != wanted[0]:
        return None
    return wanted[1] - sync.applied_version
