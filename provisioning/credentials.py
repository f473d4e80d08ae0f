"""What lets this installation into a tenant's database, made anew: for when the present one may be known to others.

The server changes first, the registry after it. In between, requests of this tenant fail; should the process die
there, asking again repairs it.
"""

import asyncio

from sqlalchemy import Connection

from controlplane.registry.tenants import SERVING, RegisteredTenant, change_tenant, get_tenant
from core.errors import Conflict
from core.failpoints import failpoint
from provisioning.backends import RenewsCredentials
from provisioning.parts import Parts
from provisioning.places import seal_credentials


async def renew_credentials(parts: Parts, tenant_id: str) -> None:
    tenant = await parts.registry.read(get_tenant, tenant_id)
    backend = parts.backend(tenant.backend)
    if not isinstance(backend, RenewsCredentials):
        raise Conflict(f"Databases of the backend {backend.name} have no credentials of their own.")
    if tenant.state not in SERVING:
        raise Conflict(f"The tenant is {tenant.state}.", code="invalid_tenant_state")
    place = parts.place_of.place(tenant)
    renewed = await asyncio.to_thread(backend.renewed, place, parts.ref(tenant))
    failpoint("credentials.renewed")
    sealed = seal_credentials(parts.key, tenant.id, renewed)
    await parts.registry.write(_put, tenant, sealed, parts.now())


def _put(connection: Connection, tenant: RegisteredTenant, credentials: bytes | None, now: int) -> None:
    """Only where they belong: the pointer may have gone elsewhere meanwhile."""
    current = get_tenant(connection, tenant.id)
    if (current.generation, current.location) != (tenant.generation, tenant.location):
        raise Conflict(
            "The tenant's database was replaced meanwhile; ask again.", code="invalid_tenant_state"
        )
    change_tenant(connection, tenant.id, now, credentials=credentials)
